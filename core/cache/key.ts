import type { Site } from '#core/contract/site.ts';
import type { ServedSite } from './served-site.ts';

/** What a cache key is made of, each part normalised once by whoever received the request. */
export interface KeyParts {
  readonly scheme: 'http' | 'https';
  /** Lower case, without port: the edges of one network may listen on different ports. */
  readonly host: string;
  /** Path and query. */
  readonly target: string;
}

/**
 * The primary cache key (RFC 9111 §2): the URL. Whatever else tells objects apart selects among
 * those stored under it (see `keySelector`), so that a purge of the URL finds them all. The scheme is part of it, for an origin that redirects
 * http to https must not see its redirect served to both. What our own origin holds is the same
 * under every host and scheme, so there neither is.
 * @param folded the target as the site's `keying` folds it, where it does not come so
 */
export function cacheKey(
  site: Pick<Site, 'name' | 'origin'>,
  { scheme, host, target }: KeyParts,
  folded = target,
): string {
  return site.origin.kind === 'push'
    ? `${site.name} ${folded}`
    : `${site.name} ${scheme}://${host}${folded}`;
}

/**
 * Every primary key that a purge of a URL concerns.
 * @param target in any spelling that comes to the same key
 */
export function purgedKeys(
  site: Pick<ServedSite, 'name' | 'origin' | 'keying'>,
  host: string,
  target: string,
): readonly string[] {
  const folded = site.keying.foldTarget(target);
  const keys = (['http', 'https'] as const).map((scheme) =>
    cacheKey(site, { scheme, host, target: folded }),
  );
  return [...new Set(keys)];
}
