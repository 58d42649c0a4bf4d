import type { StoreStats, StoreTally, Volume } from '#core/cache/store.ts';
import type { Counted, EvictionReason, Tally } from '#core/cache/tally.ts';
import type { MetricName } from './metrics.ts';
import type { Samples } from './samples.ts';

/** Adds what a tier of storage holds and has done. */
export function sampleStore(stats: StoreStats, samples: Samples): void {
  const { tier, policy, evicted } = stats;
  samples.add('canopy_store_objects', stats.objects, tier);
  samples.add('canopy_store_bytes', stats.bytes, tier);
  samples.add('canopy_store_budget_bytes', stats.budgetBytes, tier, policy);
  samples.add('canopy_store_lookups_total', stats.lookups, tier);
  samples.add('canopy_store_hits_total', stats.hits, tier);
  samples.add('canopy_store_hit_bytes_total', stats.hitBytes, tier);
  samples.add('canopy_store_stored_total', stats.stored, tier);
  samples.add('canopy_store_stored_bytes_total', stats.storedBytes, tier);
  samples.add('canopy_store_refused_total', stats.refused, tier);
  samples.add('canopy_store_evicted_bytes_total', stats.evictedBytes, tier);
  for (const [reason, count] of Object.entries(evicted)) {
    samples.add('canopy_store_evicted_total', count, tier, reason);
  }
}

const BY_SITE: Readonly<Record<Exclude<Counted, EvictionReason>, MetricName>> = {
  hits: 'canopy_site_store_hits_total',
  hitBytes: 'canopy_site_store_hit_bytes_total',
  stored: 'canopy_site_store_stored_total',
  storedBytes: 'canopy_site_store_stored_bytes_total',
  refused: 'canopy_site_store_refused_total',
  evictedBytes: 'canopy_site_store_evicted_bytes_total',
};

/**
 * Adds what a tier of storage has done for each site.
 * @param labelOf the label of a site, so that there are few
 */
export function sampleTally(
  tally: Tally,
  tier: StoreTally['tier'],
  samples: Samples,
  labelOf: (site: string) => string = (site) => site,
): void {
  for (const [site, what, count] of tally) {
    const label = labelOf(site);
    if (what in BY_SITE) samples.add(BY_SITE[what as keyof typeof BY_SITE], count, label, tier);
    else samples.add('canopy_site_store_evicted_total', count, label, tier, what);
  }
}

/** Adds what is stored of a site in a tier of storage. */
export function sampleHeld(
  site: string,
  tier: StoreTally['tier'],
  { objects, bytes }: Volume,
  samples: Samples,
): void {
  if (objects === 0) return;
  samples.add('canopy_site_store_objects', objects, site, tier);
  samples.add('canopy_site_store_bytes', bytes, site, tier);
}
