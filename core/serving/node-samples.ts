import type { MetricName } from '#core/telemetry/metrics.ts';
import { OTHER } from '#core/telemetry/rows.ts';
import type { Samples } from '#core/telemetry/samples.ts';
import { sampleHeld, sampleStore, sampleTally } from '#core/telemetry/store-samples.ts';
import type { FillCounters } from '#core/telemetry/fill-counters.ts';
import type { Activity } from './service.ts';
import type { TierNode } from './tier-node.ts';

/** Adds what one thread of an edge or mid-tier has done and holds. */
export function sampleNode(node: TierNode, samples: Samples): void {
  const { counters, engine } = node;
  const { underWay, store } = engine;
  counters.sample(samples);
  engine.tree.counters.sample(samples);
  samples.add('canopy_fills', underWay.fills);
  samples.add('canopy_fill_waiters', underWay.waiters);
  samples.add('canopy_fill_bytes', engine.fillBytes);
  samples.add('canopy_spill_bytes', node.spilledBytes);
  for (const [field, name] of Object.entries(FILL_METRICS)) {
    samples.add(name, engine.counters[field as keyof FillCounters]);
  }
  const stats = store.stats();
  for (const one of stats) sampleStore(one, samples);
  for (const { tier, tally, volume } of store.tallies()) {
    sampleTally(tally, tier, samples, (site) => counters.sites.labelOf(site));
    // One thread tells what all have stored.
    if (!stats.some((one) => one.tier === tier)) continue;
    for (const site of counters.sites.names) sampleHeld(site, tier, volume(site), samples);
  }
  node.disk?.sample(samples);
  let rest = store.volume();
  for (const site of counters.sites.names) {
    const { objects, bytes } = store.volume(site);
    rest = { objects: rest.objects - objects, bytes: rest.bytes - bytes };
    if (objects > 0) sampleVolume(site, { objects, bytes }, samples);
  }
  if (rest.objects > 0) sampleVolume(OTHER, rest, samples);
}

/** Adds the connections and requests that a listener has in hand. */
export function sampleActivity(activity: Activity, samples: Samples): void {
  samples.add('canopy_connections', activity.connections);
  samples.add('canopy_connections_accepted_total', activity.accepted);
  samples.add('canopy_tunnels', activity.tunnels);
  samples.add('canopy_requests_under_way', activity.requests);
}

const FILL_METRICS: Readonly<Record<keyof FillCounters, MetricName>> = {
  waitersRefused: 'canopy_waiters_refused_total',
  waitersTimedOut: 'canopy_waiters_timed_out_total',
  staleWhileSlow: 'canopy_stale_while_slow_total',
  refreshesSkipped: 'canopy_refreshes_skipped_total',
  refillsLimited: 'canopy_refills_limited_total',
  notKept: 'canopy_fills_not_kept_total',
  fromSiblings: 'canopy_sibling_fetches_total',
};

function sampleVolume(
  site: string,
  { objects, bytes }: { readonly objects: number; readonly bytes: number },
  samples: Samples,
): void {
  samples.add('canopy_site_stored_objects', objects, site);
  samples.add('canopy_site_stored_bytes', bytes, site);
}
