import type { Command } from 'commander';
import { type Signing, signedCookie, signUrl } from '#client/sign.ts';
import { CanopyError, messageOf } from '#core/errors.ts';
import { textOf } from '../document.ts';
import { duration } from '../duration.ts';
import { print } from '../output.ts';

interface SignOptions {
  readonly keyId: string;
  readonly keyFile: string;
  readonly expires: number;
  readonly prefix?: string;
  readonly address?: string;
  readonly bindHost?: boolean;
  readonly name?: string;
  readonly cookie?: boolean;
  readonly json?: boolean;
}

export function addSign(program: Command): void {
  program
    .command('sign')
    .description('sign a URL, or a cookie, for a site that requires it')
    .argument('<url>', 'the URL; with --prefix any of the site')
    .requiredOption('--key-id <id>', "which of the site's signingKeys")
    .requiredOption('--key-file <file>', 'file that holds its secret')
    .requiredOption('--expires <duration>', 'for how long, such as 30m, 12h or 7d', duration)
    .option('--prefix <path>', 'all paths that begin so, in place of this URL alone')
    .option('--address <address>', 'for clients of this address or network only')
    .option('--bind-host', "for the URL's host only, not for others of the site")
    .option('--name <name>', 'of the parameter or cookie, where the rule says another')
    .option('--cookie', 'the value of a Set-Cookie field, in place of a URL')
    .option('--json', 'as JSON')
    .action(sign);
}

async function sign(url: string, options: SignOptions): Promise<void> {
  const { keyId, keyFile, expires, prefix, cookie } = options;
  // Editors end files with a line break.
  const secret = (await textOf(keyFile)).trim();
  const until = new Date(Date.now() + expires * 1000);
  const signing: Signing = { ...options, key: { id: keyId, secret }, expires: until };
  const json = options.json === true;
  try {
    if (cookie !== true) {
      const signed = await signUrl(url, signing);
      print(json, { url: signed, expires: until.toISOString() }, () => signed);
      return;
    }
    if (prefix === undefined) {
      throw new CanopyError('invalid-input', 'A cookie is for a prefix: give --prefix');
    }
    const setCookie = await signedCookie(url, { ...signing, prefix });
    print(json, { setCookie, expires: until.toISOString() }, () => setCookie);
  } catch (cause) {
    if (cause instanceof CanopyError) throw cause;
    throw new CanopyError('invalid-input', `Cannot sign ${url}: ${messageOf(cause)}`, { cause });
  }
}
