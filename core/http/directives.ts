import { type Fields, fieldValue, hasField, listMembers } from './fields.ts';

/** What an origin says in `Cache-Control`, RFC 9111 §5.2.2, RFC 5861, RFC 8246. */
export interface ResponseDirectives {
  readonly noStore: boolean;
  readonly noCache: boolean;
  readonly private: boolean;
  /** Lower-case names in `no-cache="…"` and `private="…"`: these fields are for the one answer only (§5.2.2.4, §5.2.2.7). */
  readonly unsharedFields: readonly string[];
  readonly public: boolean;
  readonly mustRevalidate: boolean;
  readonly proxyRevalidate: boolean;
  readonly mustUnderstand: boolean;
  readonly immutable: boolean;
  readonly maxAgeSeconds: number | undefined;
  readonly sMaxageSeconds: number | undefined;
  readonly staleWhileRevalidateSeconds: number | undefined;
  readonly staleIfErrorSeconds: number | undefined;
}

/** What a client says in `Cache-Control` (or `Pragma`, RFC 9111 §5.4), RFC 9111 §5.2.1. */
export interface RequestDirectives {
  readonly noStore: boolean;
  readonly noCache: boolean;
  readonly onlyIfCached: boolean;
  readonly maxAgeSeconds: number | undefined;
  readonly minFreshSeconds: number | undefined;
  /** `Infinity` where the client takes any staleness. */
  readonly maxStaleSeconds: number | undefined;
}

/** The directives of `Cache-Control`. */
export function responseDirectives(fields: Fields): ResponseDirectives {
  return readResponseDirectives(parseDirectives(fieldValue(fields, 'cache-control')));
}

/** @param found arguments by lower-case name, `''` where a directive has none */
export function readResponseDirectives(found: ReadonlyMap<string, string>): ResponseDirectives {
  const noCacheFields = limits(found.get('no-cache'));
  const privateFields = limits(found.get('private'));
  return {
    noStore: found.has('no-store'),
    noCache: found.has('no-cache') && noCacheFields.length === 0,
    private: found.has('private') && privateFields.length === 0,
    unsharedFields: [...noCacheFields, ...privateFields],
    public: found.has('public'),
    mustRevalidate: found.has('must-revalidate'),
    proxyRevalidate: found.has('proxy-revalidate'),
    mustUnderstand: found.has('must-understand'),
    immutable: found.has('immutable'),
    maxAgeSeconds: lifetime(found, 'max-age'),
    sMaxageSeconds: lifetime(found, 's-maxage'),
    staleWhileRevalidateSeconds: lifetime(found, 'stale-while-revalidate'),
    staleIfErrorSeconds: lifetime(found, 'stale-if-error'),
  };
}

const NO_REQUEST_DIRECTIVES: RequestDirectives = {
  noStore: false,
  noCache: false,
  onlyIfCached: false,
  maxAgeSeconds: undefined,
  minFreshSeconds: undefined,
  maxStaleSeconds: undefined,
};

export function requestDirectives(fields: Fields): RequestDirectives {
  if (!hasField(fields, 'cache-control')) {
    const pragma = parseDirectives(fieldValue(fields, 'pragma'));
    return pragma.has('no-cache')
      ? { ...NO_REQUEST_DIRECTIVES, noCache: true }
      : NO_REQUEST_DIRECTIVES;
  }
  const found = parseDirectives(fieldValue(fields, 'cache-control'));
  return {
    noStore: found.has('no-store'),
    noCache: found.has('no-cache'),
    onlyIfCached: found.has('only-if-cached'),
    maxAgeSeconds: lifetime(found, 'max-age'),
    minFreshSeconds: parseDeltaSeconds(found.get('min-fresh')),
    maxStaleSeconds: found.get('max-stale') === '' ? Infinity : lifetime(found, 'max-stale'),
  };
}

/**
 * The directives by lower-case name; a directive without argument has the value `''`.
 * The first of several wins, RFC 9111 §4.2.1, save that all fields which any of them names count.
 * What cannot be read is skipped to the next comma. Takes time in proportion to the length.
 */
export function parseDirectives(value: string | undefined): ReadonlyMap<string, string> {
  const directives = new Map<string, string>();
  if (value === undefined) return directives;
  for (const member of membersOf(value)) {
    const [, name, argument = ''] = DIRECTIVE.exec(member.trim()) ?? [];
    if (name === undefined) continue;
    const key = name.toLowerCase();
    const before = directives.get(key);
    const own = unquoted(argument);
    if (before === undefined) directives.set(key, own);
    else if (LIMITABLE.has(key)) directives.set(key, eitherOf(before, own));
  }
  return directives;
}

/** Those that may be limited to the fields they name, RFC 9111 §5.2.2.4 and §5.2.2.7. */
const LIMITABLE: ReadonlySet<string> = new Set(['no-cache', 'private']);

/** Of the same directive, once without limits is without limits. */
const eitherOf = (a: string, b: string): string => (a === '' || b === '' ? '' : `${a}, ${b}`);

const TOKEN = "[!#$%&'*+\\-.^_`|~\\w]+";
const TOKEN_ALONE = new RegExp(`^${TOKEN}$`);
// White space around "=" is not allowed by the grammar, but is seen.
const DIRECTIVE = new RegExp(`^(${TOKEN})[ \\t]*(?:=[ \\t]*([^]*))?`);
const QUOTED = /^"((?:[^"\\]|\\[^])*)"/;

const unquoted = (argument: string): string =>
  QUOTED.exec(argument)?.[1]?.replaceAll(/\\([^])/g, '$1') ?? argument;

/** Parted at the commas that are in no quoted string; a quote that nothing closes begins none. */
function membersOf(value: string): readonly string[] {
  if (!value.includes('"')) return value.split(',');
  const members: string[] = [];
  let start = 0;
  let areClosed = true;
  for (let at = 0; at < value.length; at++) {
    if (value[at] === ',') {
      members.push(value.slice(start, at));
      start = at + 1;
    } else if (value[at] === '"' && areClosed) {
      const end = closingQuote(value, at);
      areClosed = end !== undefined;
      at = end ?? at;
    }
  }
  return [...members, value.slice(start)];
}

function closingQuote(value: string, opening: number): number | undefined {
  for (let at = opening + 1; at < value.length; at++) {
    if (value[at] === '"') return at;
    if (value[at] === '\\') at++;
  }
  return undefined;
}

/** The fields that a directive is limited to; none where it is without limits, or they cannot be read. */
function limits(argument: string | undefined): readonly string[] {
  const names = listMembers(argument);
  return names.every((name) => TOKEN_ALONE.test(name)) ? names : [];
}

/** RFC 9111 §1.2.2: a value too large to hold counts as 2^31. */
const MAX_DELTA_SECONDS = 2_147_483_648;

/** Non-negative whole seconds, or `undefined` if `value` is anything else. */
export function parseDeltaSeconds(value: string | undefined): number | undefined {
  const digits = value?.trim();
  if (digits === undefined || !/^\d+$/.test(digits)) return undefined;
  return Math.min(Number(digits), MAX_DELTA_SECONDS);
}

/** An unreadable lifetime counts as none left, RFC 9111 §4.2.1: stale, not an error. */
function lifetime(directives: ReadonlyMap<string, string>, name: string): number | undefined {
  const value = directives.get(name);
  return value === undefined ? undefined : (parseDeltaSeconds(value) ?? 0);
}
