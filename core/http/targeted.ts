import { parseDictionary, Token } from 'structured-headers';
import { parseDirectives, readResponseDirectives, type ResponseDirectives } from './directives.ts';
import { type Fields, fieldValue } from './fields.ts';

/**
 * What is said to CDNs in particular: `CDN-Cache-Control` (RFC 9213), else `Surrogate-Control` (W3C
 * Edge Architecture, the older word for it). The first that is present and valid replaces
 * `Cache-Control` and `Expires` whole; `undefined` if there is none.
 */
export function targetedDirectives(fields: Fields): ResponseDirectives | undefined {
  return cdnCacheControl(fields) ?? surrogateControl(fields);
}

/** RFC 9213 §2.1: a dictionary of structured fields; one that is empty or invalid is ignored whole. */
function cdnCacheControl(fields: Fields): ResponseDirectives | undefined {
  const value = fieldValue(fields, 'cdn-cache-control');
  if (value === undefined) return undefined;
  try {
    const found = new Map<string, string>();
    for (const [name, [item]] of parseDictionary(value)) {
      const argument = argumentOf(name, item);
      if (argument === undefined) return undefined;
      if (argument !== ABSENT) found.set(name, argument);
    }
    return found.size === 0 ? undefined : readResponseDirectives(found);
  } catch {
    return undefined;
  }
}

const ABSENT = Symbol('absent');

const DELTA_SECONDS: ReadonlySet<string> = new Set([
  'max-age',
  's-maxage',
  'stale-while-revalidate',
  'stale-if-error',
]);

/** @returns `undefined` if the item is of a type that the directive cannot have */
function argumentOf(name: string, item: unknown): string | typeof ABSENT | undefined {
  if (DELTA_SECONDS.has(name)) {
    return Number.isInteger(item) && Number(item) >= 0 ? String(item) : undefined;
  }
  if (item === true) return '';
  // `no-store=?0` says that it is not so.
  if (item === false) return ABSENT;
  if (typeof item === 'string') return item;
  // Directives of others may be of any type.
  return item instanceof Token || typeof item === 'number' ? String(item) : ABSENT;
}

/** What makes `Surrogate-Control` speak of caching: beside it there may be `content="ESI/1.0"` alone. */
const STORES_OR_NOT = ['max-age', 's-maxage', 'no-store', 'no-cache', 'private'];

/** Written as `Cache-Control` is; a directive with a parameter is for the surrogate that it names. */
function surrogateControl(fields: Fields): ResponseDirectives | undefined {
  const value = fieldValue(fields, 'surrogate-control');
  if (value === undefined) return undefined;
  const found = new Map<string, string>();
  for (const [name, argument] of parseDirectives(value)) {
    if (!name.includes(';') && !argument.includes(';')) found.set(name, argument);
  }
  return STORES_OR_NOT.some((name) => found.has(name)) ? readResponseDirectives(found) : undefined;
}
