import type { KeyInput } from '#core/contract/explain.ts';
import type { KeySettings, QuerySettings } from '#core/contract/key-settings.ts';
import { CLASS_FIELDS } from '#core/cache/policy/keying.ts';
import type { ServedSite } from '#core/cache/served-site.ts';
import { cookieValue } from '#core/http/cookies.ts';
import { type Fields, fieldValue } from '#core/http/fields.ts';
import type { ClientRequest } from '#core/http/request.ts';
import { isSecret, masked } from './masked.ts';

/** What became of a request's URL on its way to the key. */
export interface KeyedUrl {
  /** As it was sent. */
  readonly received: Pick<ClientRequest, 'authority' | 'target'>;
  /** As the rules have it. */
  readonly changedTarget: string;
  /** As the key has it. */
  readonly folded: string;
  readonly scheme: string;
  readonly host: string;
  /** The pattern in `hosts` that the host matched. */
  readonly hostPattern: string;
}

const COOKIE = 'cookie:';
const ORIGIN = 'canopy-origin';

/** What a client's request comes to its key by, part by part. @param fields as folded for the key */
export function keyInputs(site: ServedSite, url: KeyedUrl, fields: Fields): KeyInput[] {
  const { scheme, host, hostPattern, received } = url;
  const isPush = site.origin.kind === 'push';
  const ofOwnOrigin = "the network's own origin has the same under every one";
  return [
    {
      part: 'site',
      name: null,
      value: site.name,
      counts: true,
      why: `its hosts have ${hostPattern}, which ${received.authority} matches`,
    },
    {
      part: 'scheme',
      name: null,
      value: scheme,
      counts: !isPush,
      why: isPush ? ofOwnOrigin : 'as the client came',
    },
    {
      part: 'host',
      name: null,
      value: host,
      counts: !isPush,
      why: isPush ? ofOwnOrigin : hostWhy(received.authority, host),
    },
    ...targetInputs(site, url),
    ...selecting(site.keying.inputs, fields, site.keying.settings),
  ];
}

function hostWhy(authority: string, host: string): string {
  if (authority === host) return 'as in Host';
  return authority.toLowerCase().replace(/\.?(?::\d*)?$/, '') === host
    ? `of ${authority}: lower case, without port`
    : `${authority} is one of the network's names for it`;
}

const split = (target: string): readonly [path: string, parameters: readonly string[]] => {
  const queryAt = target.indexOf('?');
  return queryAt === -1
    ? [target, []]
    : [target.slice(0, queryAt), target.slice(queryAt + 1).split('&')];
};

function targetInputs(
  { origin, keying, images }: ServedSite,
  { received, changedTarget, folded }: KeyedUrl,
): KeyInput[] {
  const [path, counted] = split(folded);
  const [, asked] = split(changedTarget);
  const isRewritten = changedTarget !== received.target;
  const left = [...counted];
  const parameters = asked.map((parameter): KeyInput => {
    const [name = ''] = parameter.split('=', 1);
    const value = parameter.slice(name.length + 1);
    const at = left.indexOf(parameter);
    if (at !== -1) left.splice(at, 1);
    return {
      part: 'query',
      name,
      value: isSecret(name) ? masked(value) : value,
      counts: at !== -1,
      why:
        at === -1
          ? leftOutBy(origin.kind, keying.settings, images.enabled)
          : keptBy(keying.settings),
    };
  });
  return [
    {
      part: 'path',
      name: null,
      value: path,
      counts: true,
      why: isRewritten ? `of ${received.target}, by the rules of the site` : 'of the URL',
    },
    ...parameters,
  ];
}

const BY: Readonly<Record<string, string>> = {
  include: 'key.query.include',
  exclude: 'key.query.exclude',
};

const settingOf = (query: QuerySettings): string =>
  typeof query === 'string' ? `key.query is ${query}` : (BY[Object.keys(query)[0] ?? ''] ?? '');

function keptBy({ query, sortQuery }: KeySettings): string {
  const order = sortQuery ? 'in the order of names (key.sortQuery)' : 'in the order of the URL';
  return `${settingOf(query)}; ${order}`;
}

function leftOutBy(origin: 'pull' | 'push', { query }: KeySettings, hasImages: boolean): string {
  if (origin === 'push') return "the network's own origin minds no query";
  if (query === 'all' && hasImages)
    return 'says how an image is made, which is not part of the key';
  return `left out: ${settingOf(query)}`;
}

/** What selects among the objects of one URL, beside `Vary`. */
export function selecting(
  inputs: readonly string[],
  fields: Fields,
  settings?: KeySettings,
): KeyInput[] {
  return inputs.map((input) => {
    if (input.startsWith(COOKIE)) {
      const name = input.slice(COOKIE.length);
      const value = cookieValue(fields, name);
      return {
        part: 'cookie',
        name,
        value: value === undefined ? null : masked(value),
        counts: true,
        why: 'key.cookies',
      };
    }
    const value = fieldValue(fields, input)?.trim();
    return {
      part: input === ORIGIN ? 'origin' : 'header',
      name: input,
      value: value === undefined ? null : isSecret(input) ? masked(value) : value,
      counts: true,
      why: settings === undefined ? 'the asking node says so' : whyOf(input, settings),
    };
  });
}

function whyOf(input: string, settings: KeySettings): string {
  if (input === ORIGIN) return 'a rule chooses this origin';
  if (input === CLASS_FIELDS.deviceClass.toLowerCase()) {
    return 'key.deviceClass: read from User-Agent and client hints';
  }
  if (input === CLASS_FIELDS.country.toLowerCase()) return 'key.country: of the client’s address';
  if (input === 'accept-language' && settings.language.length > 0) {
    return `key.language: the best of ${settings.language.join(', ')}`;
  }
  return 'key.headers';
}

/** What the origin's answers vary by, of the request. @param vary lower-case names */
export const varying = (vary: readonly string[], fields: Fields): KeyInput[] =>
  vary.map((name) => {
    const value = fieldValue(fields, name);
    return {
      part: 'vary',
      name,
      value: value === undefined ? null : isSecret(name) ? masked(value) : value,
      counts: true,
      why: 'the origin’s answers have it in Vary',
    };
  });
