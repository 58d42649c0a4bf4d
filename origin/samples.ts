import { MAX_SITES } from '#core/telemetry/counters.ts';
import { OTHER } from '#core/telemetry/rows.ts';
import type { Samples } from '#core/telemetry/samples.ts';
import type { ObjectStore } from './object-store.ts';
import type { Upkeep } from './upkeep.ts';

/** Adds what an origin keeps, and what is done to keep it well. */
export function sampleContent(
  store: ObjectStore,
  upkeep: Upkeep,
  sites: readonly string[],
  samples: Samples,
): void {
  samples.add('canopy_origin_objects', store.totals.objects);
  samples.add('canopy_origin_bytes', store.totals.bytes);
  for (const [i, site] of sites.entries()) {
    const label = i < MAX_SITES ? site : OTHER;
    const { objects, bytes } = store.usage(site);
    samples.add('canopy_origin_site_objects', objects, label);
    samples.add('canopy_origin_site_bytes', bytes, label);
    const { maxBytes } = store.limits(site);
    if (maxBytes !== null) samples.add('canopy_origin_site_max_bytes', maxBytes, label);
  }
  samples.add('canopy_origin_checked_total', upkeep.checked);
  samples.add('canopy_origin_checked_bytes_total', upkeep.checkedBytes);
  samples.add('canopy_origin_damaged', store.damagedContents);
  samples.add('canopy_origin_healed_total', upkeep.healed);
  samples.add('canopy_origin_collected_total', upkeep.collected);
  samples.add('canopy_origin_collected_bytes_total', upkeep.collectedBytes);
}
