import { z } from 'zod';
import { type Observation, observationSchema } from '#core/contract/latency.ts';
import { nameSchema } from '#core/contract/names.ts';
import { hash32 } from '#core/hash.ts';
import { aged, histogramSchema, observed, weightOf } from './histogram.ts';

const { network, asn, country } = observationSchema.shape;

/** What has been seen of one network. */
const measuredNetworkSchema = z.strictObject({
  network,
  asn,
  country,
  edges: z.record(nameSchema, histogramSchema),
});

/** A part of all networks, kept as one record. */
export const shardSchema = z.strictObject({ networks: z.array(measuredNetworkSchema) });

export type MeasuredNetwork = z.output<typeof measuredNetworkSchema>;
export type Shard = z.output<typeof shardSchema>;

export const SHARDS = 16;
/** Of all networks so many are remembered: those that have been heard of most, of late. */
export const MAX_NETWORKS = 8_000;
/** Edges that one network is measured to. */
export const MAX_EDGES = 16;

export const shardIdOf = (of: string): string =>
  String(hash32('latency', of) % SHARDS).padStart(2, '0');

/** The shard with what has been seen since; what is least known goes where there is no room. */
export function merged(
  shard: Shard,
  observations: readonly Observation[],
  now: number,
  maxNetworks = MAX_NETWORKS / SHARDS,
): Shard {
  const networks = new Map(shard.networks.map((known) => [known.network, known]));
  for (const { edge, roundTripMs, ...of } of observations) {
    const edges = networks.get(of.network)?.edges ?? {};
    const histogram = observed(edges[edge], roundTripMs, now);
    networks.set(of.network, { ...of, edges: { ...edges, [edge]: histogram } });
  }
  if (networks.size <= maxNetworks) return { networks: [...networks.values()].map(bounded) };
  const weighed = [...networks.values()].map((of) => ({ of, weight: weightNow(of, now) }));
  const kept = weighed.toSorted((a, b) => b.weight - a.weight).slice(0, maxNetworks);
  return { networks: kept.map(({ of }) => bounded(of)) };
}

const weightNow = ({ edges }: MeasuredNetwork, now: number): number =>
  Object.values(edges).reduce((sum, histogram) => sum + weightOf(aged(histogram, now)), 0);

function bounded(of: MeasuredNetwork): MeasuredNetwork {
  const edges = Object.entries(of.edges);
  if (edges.length <= MAX_EDGES) return of;
  const kept = edges.toSorted(([, a], [, b]) => weightOf(b) - weightOf(a)).slice(0, MAX_EDGES);
  return { ...of, edges: Object.fromEntries(kept) };
}
