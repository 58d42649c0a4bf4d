import { isIP } from 'node:net';
import { type Command, InvalidArgumentError } from 'commander';
import { countrySchema } from '#core/contract/places.ts';
import { type Site, siteSchema } from '#core/contract/site.ts';
import { validate } from '#core/contract/validate.ts';
import { UNKNOWN_COUNTRY } from '#core/cache/policy/keying.ts';
import { CanopyError } from '#core/errors.ts';
import { countryOf } from '#core/geography/country-of.ts';
import { normalizeHost, SiteDirectory } from '#core/sites.ts';
import { connect, type ConnectionOptions, withConnection } from '../connection.ts';
import { readDocument } from '../document.ts';
import { print } from '../output.ts';
import { resultText } from '../rules/result-text.ts';
import { testRequest } from '../rules/test-request.ts';

interface TestOptions extends ConnectionOptions {
  readonly header: readonly string[];
  readonly request: string;
  readonly client: string;
  readonly country?: string;
  readonly asn?: number;
  readonly status: number;
  readonly contentType?: string;
  readonly file?: string;
}

export function addRules(program: Command): void {
  const rules = program.command('rules').description('what sites do about requests and answers');
  withConnection(
    rules
      .command('test')
      .argument('<url>', 'what a client asks for')
      .description('which rules match a request, and what they do; nothing is sent')
      .option(
        '-H, --header <line>',
        'a request field, as "Name: value"; may be repeated',
        field,
        [],
      )
      .option('-X, --request <method>', 'the method', 'GET')
      .option('--client <address>', 'the address that it comes from', address, '192.0.2.1')
      .option('--country <code>', 'the country of that; left out: looked up')
      .option('--asn <number>', 'the autonomous system of that', wholeNumber)
      .option('--status <code>', 'what the site would answer', wholeNumber, 200)
      .option('--content-type <type>', 'of that; left out: by the ending of the path')
      .option('--file <file>', 'JSON or YAML of a site, in place of the one that is served'),
  ).action(async (text: string, options: TestOptions) => {
    const url = urlOf(text);
    const site = await siteFor(url, options);
    const { header, request: method, client, asn, status, contentType } = options;
    const country =
      options.country && validate(countrySchema, options.country.toUpperCase(), 'country');
    const places = {
      countryOf: (of: string) => country ?? countryOf(of) ?? UNKNOWN_COUNTRY,
      asnOf: () => asn,
    };
    const result = testRequest(site, {
      url,
      method,
      fields: header,
      client,
      places,
      status,
      contentType,
    });
    print(options.json, result, () => resultText(result));
  });
}

async function siteFor(url: URL, options: TestOptions): Promise<Site> {
  const { file } = options;
  const sites =
    file === undefined
      ? await (await connect(options)).sites()
      : [validate(siteSchema, await readDocument(file), `site ${file}`)];
  const site = new SiteDirectory(sites).byHost(normalizeHost(url.host));
  if (site !== undefined) return site;
  throw new CanopyError('unknown-host', `No site has the host ${url.hostname}`);
}

function urlOf(text: string): URL {
  if (URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)) return new URL(text);
  throw new CanopyError('invalid-input', `Expected an http:// or https:// URL, received ${text}`);
}

function field(line: string, before: readonly string[]): readonly string[] {
  const [, name, value] = /^([\w!#$%&'*+.^`|~-]+):[\t ]*(.*?)[\t ]*$/.exec(line) ?? [];
  if (name === undefined || value === undefined) {
    throw new InvalidArgumentError('Expected "Name: value".');
  }
  return [...before, name, value];
}

function address(text: string): string {
  if (isIP(text) === 0) throw new InvalidArgumentError('Expected an IP address.');
  return text;
}

function wholeNumber(text: string): number {
  if (!/^\d{1,10}$/.test(text)) throw new InvalidArgumentError('Expected a whole number.');
  return Number(text);
}
