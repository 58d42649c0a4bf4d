import { MAX_PREFIX_SEGMENTS, type PurgeTarget } from '#core/contract/purge.ts';
import type { Site } from '#core/contract/site.ts';

/** A set of objects that is named without looking for them. */
export type Scope =
  | { readonly kind: 'everything' }
  | { readonly kind: 'site'; readonly site: string }
  /** `name` is one of what `prefixesOf` gives for its objects. */
  | { readonly kind: 'prefix'; readonly site: string; readonly name: string }
  | { readonly kind: 'tag'; readonly site: string; readonly name: string };

/** What of a site decides how its objects are named. */
interface Named {
  readonly origin: Pick<Site['origin'], 'kind'>;
}

/**
 * The scopes that a target names, none for URLs, which name keys.
 * @param site as configured now; where it is not known, no prefix of it names anything
 */
export function scopesOf(
  target: PurgeTarget,
  site: Named | undefined,
): readonly Scope[] {
  switch (target.kind) {
    case 'urls':
      return [];
    case 'everything':
    case 'site':
      return [target];
    case 'tags':
      return target.tags.map((name) => ({ kind: 'tag', site: target.site, name }));
    default: {
      if (site === undefined) return [];
      const names = target.kind === 'hosts' ? target.hosts : target.prefixes;
      const local = new Set(names.map((name) => localName(site, name)));
      return [...local].map((name) => ({ kind: 'prefix', site: target.site, name }));
    }
  }
}

/** What our own origin holds is the same under every host, see `cacheKey`. */
function localName({ origin }: Named, prefix: string): string {
  if (origin.kind === 'pull') return prefix;
  const pathAt = prefix.indexOf('/');
  return pathAt === -1 ? '' : prefix.slice(pathAt);
}

/**
 * Every prefix that names an object: of `site http://h/a/b?c` they are `h`, `h/a` and `h/a/b`. Of a
 * path with more slashes than a prefix may have, the deepest are left out.
 * @param key as `cacheKey` makes it, or of a slice of the object
 */
export function prefixesOf(key: string): readonly string[] {
  const targetAt = key.indexOf(' ') + 1;
  const at = key[targetAt] === '/' ? targetAt : key.indexOf('//', targetAt) + 2;
  END.lastIndex = at;
  const name = key.slice(at, END.exec(key)?.index);
  const prefixes: string[] = [];
  for (let slash = name.indexOf('/'); slash !== -1; slash = name.indexOf('/', slash + 1)) {
    if (prefixes.length > MAX_PREFIX_SEGMENTS) return prefixes;
    prefixes.push(name.slice(0, slash));
  }
  prefixes.push(name);
  return prefixes;
}

/** A name ends before the query, or before what tells a slice. */
const END = /[?\n]/g;
