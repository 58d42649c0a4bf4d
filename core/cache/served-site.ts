import type { KeySettings } from '#core/contract/key-settings.ts';
import { ownHostOf, withRoutedHosts } from '#core/contract/routed-hosts.ts';
import type { Zone } from '#core/contract/routing.ts';
import { alternateOrigins, type PullOrigin, type Site } from '#core/contract/site.ts';
import type { Fields } from '#core/http/fields.ts';
import { secureFieldsOf } from '#core/http/secure-transport.ts';
import { type CodingPolicy, codingPolicy } from './policy/coding.ts';
import { sourceTarget } from './policy/images.ts';
import { type Keying, keyingOf } from './policy/keying.ts';
import { type SettingsFor, settingsFor } from '#core/rules/cache-settings.ts';
import { hostTest } from '#core/rules/conditions.ts';
import { Ruleset } from '#core/rules/ruleset.ts';

/** A site with what a cache makes of its settings once, when they arrive. */
export interface ServedSite extends Site {
  /** What answers over TLS say besides; empty in most sites. */
  readonly secureFields: Fields;
  readonly keying: Keying;
  /** How it compresses for clients; `undefined`: not at all. */
  readonly coding: CodingPolicy | undefined;
  /** `cache` with the `rules` that match an answer. */
  readonly cacheFor: SettingsFor;
  /** The `rules` for requests and answers. */
  readonly ruleset: Ruleset;
  /** The one of `origins` that is asked in place of the main one. */
  readonly originName?: string | undefined;
  /** The site as it is with each of its `origins`. */
  readonly alternates: ReadonlyMap<string, ServedSite>;
  /** The site's own host that one of the routers' names stands for; every other stands for itself. */
  readonly ownHost: (host: string) => string;
  /** Whether a host is one of the site's; not so by `*` alone. */
  readonly isOwnHost: (host: string) => boolean;
}

/** @param zones of the routers, in which every site has names */
export function servedSite(given: Site, zones: readonly Zone[] = []): ServedSite {
  const site = withRoutedHosts(given, zones);
  const hosts = site.hosts.filter((host) => host !== '*').map(hostTest);
  const main: ServedSite = {
    ...site,
    isOwnHost: (host) => hosts.some((test) => test(host)),
    ownHost: ownHostOf(given, zones),
    secureFields: secureFieldsOf(site.tls),
    keying: keyingOfSources(site),
    coding: codingPolicy(site.compression),
    cacheFor: settingsFor(site.cache, site.rules),
    ruleset: new Ruleset(site.rules),
    alternates: new Map(),
  };
  const alternates = alternateOrigins(site).map(
    ([name, origin]) => [name, alternateOf(main, name, origin)] as const,
  );
  return { ...main, alternates: new Map(alternates) };
}

const alternateOf = (main: ServedSite, originName: string, origin: PullOrigin): ServedSite => ({
  ...main,
  origin,
  originName,
  keying: keyingOfSources(main, originName),
  // What pages of the main origin link to is not what this one's do.
  tls: { ...main.tls, earlyHints: false },
});

/**
 * The site as it is with one of its origins.
 * @param name `undefined`: with the main one
 * @returns `undefined` where it has no such origin
 */
export const siteAt = (site: ServedSite, name: string | undefined): ServedSite | undefined =>
  name === undefined ? site : site.alternates.get(name);

/** Our own origin minds no query: an object of it has one URL, and so a purge of that finds it. */
const keyOf = ({ origin, key }: Site): KeySettings =>
  origin.kind === 'push' ? { ...key, query: 'none' } : key;

/** Images that are made of one another have one URL in the cache, and upstream, and where it is purged. */
function keyingOfSources(site: Site, originName?: string): Keying {
  const keying = keyingOf(keyOf(site), originName);
  if (!site.images.enabled) return keying;
  return { ...keying, foldTarget: (target) => keying.foldTarget(sourceTarget(target)) };
}
