import type { KeySettings } from '#core/contract/key-settings.ts';
import { ownHostOf, withRoutedHosts } from '#core/contract/routed-hosts.ts';
import type { Zone } from '#core/contract/routing.ts';
import type { Site } from '#core/contract/site.ts';
import type { Fields } from '#core/http/fields.ts';
import { secureFieldsOf } from '#core/http/secure-transport.ts';
import { type Keying, keyingOf } from './policy/keying.ts';
import { type SettingsFor, settingsFor } from '#core/rules/cache-settings.ts';
import { hostTest } from '#core/rules/conditions.ts';
import { Ruleset } from '#core/rules/ruleset.ts';

/** A site with what a cache makes of its settings once, when they arrive. */
export interface ServedSite extends Site {
  /** What answers over TLS say besides; empty in most sites. */
  readonly secureFields: Fields;
  readonly keying: Keying;
  /** `cache` with the `rules` that match an answer. */
  readonly cacheFor: SettingsFor;
  /** The `rules` for requests and answers. */
  readonly ruleset: Ruleset;
  /** The site's own host that one of the routers' names stands for; every other stands for itself. */
  readonly ownHost: (host: string) => string;
  /** Whether a host is one of the site's; not so by `*` alone. */
  readonly isOwnHost: (host: string) => boolean;
}

/** @param zones of the routers, in which every site has names */
export function servedSite(given: Site, zones: readonly Zone[] = []): ServedSite {
  const site = withRoutedHosts(given, zones);
  const hosts = site.hosts.filter((host) => host !== '*').map(hostTest);
  return {
    ...site,
    isOwnHost: (host) => hosts.some((test) => test(host)),
    ownHost: ownHostOf(given, zones),
    secureFields: secureFieldsOf(site.tls),
    keying: keyingOf(keyOf(site)),
    cacheFor: settingsFor(site.cache, site.rules),
    ruleset: new Ruleset(site.rules),
  };
}

/** Our own origin minds no query: an object of it has one URL, and so a purge of that finds it. */
const keyOf = ({ origin, key }: Site): KeySettings =>
  origin.kind === 'push' ? { ...key, query: 'none' } : key;
