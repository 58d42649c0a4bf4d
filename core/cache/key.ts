import type { Site } from '#core/contract/site.ts';

/** What a cache key is made of, each part normalised once by whoever received the request. */
export interface KeyParts {
  readonly scheme: 'http' | 'https';
  /** Lower case, without port: the edges of one network may listen on different ports. */
  readonly host: string;
  /** Path and query. */
  readonly target: string;
}

/**
 * The primary cache key (RFC 9111 §2). The scheme is part of it, for an origin that redirects
 * http to https must not see its redirect served to both. What our own origin holds is the same
 * under every host and scheme, so there neither is.
 */
export function cacheKey(site: Site, { scheme, host, target }: KeyParts): string {
  return site.origin.kind === 'push'
    ? `${site.name} ${target}`
    : `${site.name} ${scheme}://${host}${target}`;
}

/** Every primary key that a purge of a URL concerns. */
export function purgedKeys(site: Site, host: string, target: string): readonly string[] {
  const keys = (['http', 'https'] as const).map((scheme) =>
    cacheKey(site, { scheme, host, target }),
  );
  return [...new Set(keys)];
}
