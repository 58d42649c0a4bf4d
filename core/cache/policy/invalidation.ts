import { type Fields, fieldValue } from '#core/http/fields.ts';
import type { ClientRequest } from '#core/http/request.ts';
import { normalizePath } from '#core/http/target.ts';

/** What names a resource whose stored responses an unsafe request may have outdated. */
export interface Invalidated {
  /** Path and query. */
  readonly target: string;
}

const SAFE: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);

/**
 * The resources to forget after a request was answered, RFC 9111 §4.4: its own, and those that the
 * answer names in `Location` and `Content-Location`, where they are of the same origin; none after
 * a safe method or an error.
 */
export function invalidated(
  request: Pick<ClientRequest, 'method' | 'scheme' | 'authority' | 'target'>,
  status: number,
  responseFields: Fields,
): readonly Invalidated[] {
  if (SAFE.has(request.method) || status >= 400) return [];
  const base = `${request.scheme}://${request.authority}${request.target}`;
  const named = ['location', 'content-location'].flatMap((name) => {
    const value = fieldValue(responseFields, name);
    return value === undefined ? [] : sameOrigin(value, base);
  });
  return [{ target: request.target }, ...named];
}

function sameOrigin(reference: string, base: string): readonly Invalidated[] {
  const named = URL.parse(reference, base);
  const own = URL.parse(base);
  if (named === null || own === null || named.origin !== own.origin) return [];
  // As a request for it would be read, so that both come to the same key.
  return [{ target: (normalizePath(named.pathname) ?? named.pathname) + named.search }];
}
