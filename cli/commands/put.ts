import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { pipeline, type Readable, Transform } from 'node:stream';
import { type Command, InvalidArgumentError } from 'commander';
import { contentType } from 'mime-types';
import { SiteDirectory } from '#core/sites.ts';
import { CanopyError, messageOf } from '#core/errors.ts';
import type { ApiClient } from '../api-client.ts';
import { connect, type ConnectionOptions, withConnection } from '../connection.ts';
import { EXIT } from '../exit-codes.ts';
import { print } from '../output.ts';
import { progressBar } from '../progress.ts';
import { formatSize } from '../size.ts';
import { purgeReport, waitForPurge } from './purge.ts';

interface PutOptions extends ConnectionOptions {
  readonly contentType?: string;
  readonly cacheControl?: string;
  readonly purge: boolean;
}

/** The longest that a lost node's lease can hold up the purge, with room to spare. */
const PURGE_LIMIT_MS = 60_000;

export function addPut(program: Command): void {
  withConnection(
    program
      .command('put')
      .description("store a file in the network's origin, and purge its URL")
      .argument('<file>', '- for standard input')
      .argument('<url>', 'where clients find it')
      .option('--content-type <type>', 'instead of the one that the ending tells', mediaType)
      .option('--cache-control <value>', 'Cache-Control to serve it with', fieldValue)
      .option('--no-purge', 'leave what caches hold'),
  ).action(put);
}

async function put(file: string, target: string, options: PutOptions): Promise<void> {
  const url = objectUrl(target);
  const api = await connect(options);
  const site = await siteOf(api, url);
  const { content, length } = await open(file);
  const type = options.contentType ?? typeOf(file, url);
  const bar = progressBar('Upload', 'bytes');
  const body = {
    content: counted(content, (bytes) => bar?.update(bytes, length ?? bytes)),
    headers: {
      ...(length !== undefined && { 'content-length': `${length}` }),
      ...(type !== undefined && { 'content-type': type }),
      ...(options.cacheControl !== undefined && { 'cache-control': options.cacheControl }),
    },
  };
  const sent = api.putObject(site, url.pathname, body, options.purge);
  const { object: stored, purge: id } = await sent.finally(() => bar?.stop());
  // Once the command ends nobody is served what was there before.
  const purge = id === undefined ? undefined : await waitForPurge(api, id, PURGE_LIMIT_MS);
  print(options.json, { ...stored, ...(purge !== undefined && { purge }) }, () => {
    const line = `${url.href} is ${formatSize(stored.size)} of ${stored.contentType}, ETag ${stored.etag}`;
    return purge === undefined ? line : `${line}\n\n${purgeReport(purge)}`;
  });
  if (purge?.status === 'pending') process.exitCode = EXIT.incomplete;
}

/** @param onBytes called with how much has gone by */
function counted(content: Readable, onBytes: (bytes: number) => void): Readable {
  let bytes = 0;
  const counting = new Transform({
    transform: (chunk: Buffer, _, done) => {
      onBytes((bytes += chunk.length));
      done(null, chunk);
    },
  });
  // What fails is told to whoever reads on.
  return pipeline(content, counting, () => undefined);
}

function mediaType(text: string): string {
  if (/^[\w!#$&^.+-]+\/[\w!#$&^.+-]+(?:\s*;[\x20-\x7e]*)?$/.test(text)) return text;
  throw new InvalidArgumentError('Expected a media type such as text/html.');
}

function fieldValue(text: string): string {
  if (/^[\x20-\x7e\t]+$/.test(text)) return text;
  throw new InvalidArgumentError('Expected a field value of one line.');
}

function objectUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new CanopyError('invalid-input', `Expected an http:// or https:// URL, received ${text}`);
  }
  if (url.search !== '' || url.hash !== '') {
    throw new CanopyError('invalid-input', `An object has neither query nor fragment: ${text}`);
  }
  return url;
}

async function siteOf(api: ApiClient, url: URL): Promise<string> {
  const site = new SiteDirectory(await api.sites()).byHost(url.host);
  if (site === undefined) throw new CanopyError('unknown-host', `No site has the host ${url.host}`);
  if (site.origin.kind === 'push') return site.name;
  throw new CanopyError(
    'conflict',
    `Site ${site.name} pulls from its own servers; nothing can be put there`,
  );
}

async function open(file: string): Promise<{ content: Readable; length?: number }> {
  if (file === '-') return { content: process.stdin };
  try {
    const { size, isFile } = await stat(file).then((s) => ({ size: s.size, isFile: s.isFile() }));
    if (!isFile) throw new CanopyError('invalid-input', `${file} is not a file`);
    return { content: createReadStream(file), length: size };
  } catch (cause) {
    if (cause instanceof CanopyError) throw cause;
    throw new CanopyError('invalid-input', `Cannot read ${file}: ${messageOf(cause)}`, { cause });
  }
}

/** By the ending of the file, else of the URL; the origin decides when neither tells. */
function typeOf(file: string, url: URL): string | undefined {
  const name = [file, url.pathname].map((path) => path.split('/').at(-1) ?? '');
  const endings = name.filter((last) => last.includes('.'));
  return endings.map((last) => contentType(last)).find((type) => type !== false);
}
