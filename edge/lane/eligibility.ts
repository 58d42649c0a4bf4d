import type { ServedSite } from '#core/cache/served-site.ts';

/**
 * What keeps a site's requests from the hit lane, which does no more than look up, check and answer.
 * A feature that has a say in requests or answers from the cache adds its line here, or its work to
 * the lane.
 */
const HINDRANCES: Readonly<
  Record<string, (site: ServedSite, scheme: 'http' | 'https') => boolean>
> = {
  'redirect-to-tls': ({ tls }, scheme) => tls.redirect && scheme === 'http',
  'client-certificates': ({ tls }) => tls.clientAuthorities !== null,
  'early-hints': ({ tls }) => tls.earlyHints,
  images: ({ images }) => images.enabled,
  'country-in-key': ({ keying }) => keying.settings.country,
};

/** Why a site's requests cannot take the lane; `undefined`: they can. Asked when configuration arrives. */
export const laneHindrance = (site: ServedSite, scheme: 'http' | 'https'): string | undefined =>
  Object.entries(HINDRANCES).find(([, hinders]) => hinders(site, scheme))?.[0];
