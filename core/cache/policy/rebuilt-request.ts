import type { Fields } from '#core/http/fields.ts';
import type { ClientRequest } from '#core/http/request.ts';
import { keySelector } from './keying.ts';
import { variantSelector } from './vary.ts';

/** What an object is stored under. */
export interface StoredUnder {
  /** See `cacheKey`. */
  readonly key: string;
  /** See `StoredObject.selector`. */
  readonly selector: string;
  readonly facts: { readonly vary: readonly string[] };
}

const COOKIE = 'cookie:';

/**
 * A request that would be answered with the object: to fetch it anew when nobody asks. What is told
 * apart by a class of clients has none, for the origin may look at more than the class.
 * @param inputs of the site's keying
 * @param host where the key has none
 */
export function rebuiltRequest(
  { key, selector, facts }: StoredUnder,
  inputs: readonly string[],
  host: string,
): ClientRequest | undefined {
  const url = key.slice(key.indexOf(' ') + 1);
  const parsed = /^(https?):\/\/([^/]+)(\/.*)$/.exec(url);
  const [, scheme = 'http', authority = host, target = url] = parsed ?? [];
  const fields = selectingFields(selector);
  const same = keySelector(inputs, fields) + variantSelector(facts.vary, fields);
  if (same !== selector || !target.startsWith('/') || target.includes('\n')) return undefined;
  return {
    method: 'GET',
    scheme: scheme === 'https' ? 'https' : 'http',
    authority,
    host: authority,
    target,
    // A mid-tier keys by what the edge knows of the client.
    fields: [...fields, 'X-Forwarded-Host', authority, 'X-Forwarded-Proto', scheme],
    hasContent: false,
    upgrade: undefined,
    expectsContinue: false,
  };
}

/** Request fields of which `keySelector` and `variantSelector` make the selector. */
function selectingFields(selector: string): Fields {
  const fields: string[] = [];
  const cookies: string[] = [];
  for (const line of selector.split('\n')) {
    const at = line.indexOf('=');
    const name = line.slice(0, at);
    const value = line.slice(at + 1);
    // Absent, or no line at all.
    if (at === -1 || value === '-' || value === '') continue;
    const said = value.startsWith('+') ? value.slice(1) : value;
    if (name.startsWith(COOKIE)) cookies.push(`${name.slice(COOKIE.length)}=${said}`);
    else fields.push(name, said);
  }
  return cookies.length === 0 ? fields : [...fields, 'Cookie', cookies.join('; ')];
}
