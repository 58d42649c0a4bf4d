import type { Site } from '#core/contract/site.ts';
import { type Keying, keyingOf } from './policy/keying.ts';
import { type SettingsFor, settingsFor } from './policy/rules.ts';

/** A site with what a cache makes of its settings once, when they arrive. */
export interface ServedSite extends Site {
  readonly keying: Keying;
  /** `cache` with the `rules` that match an answer. */
  readonly cacheFor: SettingsFor;
}

export const servedSite = (site: Site): ServedSite => ({
  ...site,
  keying: keyingOf(site.key),
  cacheFor: settingsFor(site.cache, site.rules),
});
