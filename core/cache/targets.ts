import type { PurgeTarget } from '#core/contract/purge.ts';
import { readRequest } from '#core/http/request.ts';
import { purgedKeys } from './key.ts';
import { prefixesOf, scopesOf } from './scopes.ts';
import type { ServedSite } from './served-site.ts';

/** What decides whether a target concerns an object. */
export interface Targeted {
  readonly site: string;
  readonly key: string;
  /** `undefined`: not known yet. */
  readonly tags: readonly string[] | undefined;
}

/** The objects that some targets concern, to be asked of one object at a time. */
export class Targets {
  #everything = false;
  readonly #sites = new Set<string>();
  readonly #keys = new Set<string>();
  /** By site. */
  readonly #prefixes = new Map<string, Set<string>>();
  readonly #tags = new Map<string, Set<string>>();

  /** @param siteOf sites as configured now; URLs and prefixes of others concern nothing */
  constructor(targets: readonly PurgeTarget[], siteOf: (name: string) => ServedSite | undefined) {
    for (const target of targets) {
      const site = target.kind === 'everything' ? undefined : siteOf(target.site);
      for (const key of keysOf(target, site)) this.#keys.add(key);
      for (const scope of scopesOf(target, site)) {
        if (scope.kind === 'everything') this.#everything = true;
        else if (scope.kind === 'site') this.#sites.add(scope.site);
        else {
          const names = scope.kind === 'tag' ? this.#tags : this.#prefixes;
          names.set(scope.site, (names.get(scope.site) ?? new Set()).add(scope.name));
        }
      }
    }
  }

  has({ site, key, tags }: Targeted): boolean {
    if (this.#everything || this.#sites.has(site) || this.#keys.has(key)) return true;
    const prefixes = this.#prefixes.get(site);
    if (prefixes !== undefined && prefixesOf(key).some((name) => prefixes.has(name))) return true;
    const tagged = this.#tags.get(site);
    return tagged !== undefined && tags !== undefined && tags.some((tag) => tagged.has(tag));
  }
}

/**
 * The keys that a target names. A purged URL is read just as a request for it would be, so that both
 * come to the same keys; one that could not be requested has none. The control plane refuses those,
 * but an event is heeded whatever it holds: a node that cannot go on would hold up all that come
 * after it.
 */
export function keysOf(target: PurgeTarget, site: ServedSite | undefined): readonly string[] {
  if (target.kind !== 'urls' || site === undefined) return [];
  const keys = target.urls.flatMap((url) => {
    try {
      const request = readRequest({ method: 'GET', target: url, fields: [], encrypted: false });
      return purgedKeys(site, request.host, request.target);
    } catch {
      return [];
    }
  });
  return [...new Set(keys)];
}
