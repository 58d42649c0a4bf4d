import type { Candidate } from './candidate.ts';
import type { Client, Point } from './client.ts';

/** Round trips between a client's network and edges, ms; `undefined` where too little is known. */
export interface Latencies {
  of(client: Client, node: string): number | undefined;
}

/** A candidate with the round trip that is expected, ms; `undefined`: nothing is known of it. */
export type Near = Candidate & {
  readonly roundTripMs: number | undefined;
  readonly nearnessBy: 'latency' | 'distance' | 'unknown';
};

const EARTH_RADIUS_KM = 6371.0088;

/**
 * What distance costs: light takes 1 ms for 100 km of fibre and back, and fibre takes about twice
 * the way of the crow (Singla et al., The Internet at the Speed of Light, 2014).
 */
const MS_PER_KM = 0.02;

/** Great-circle distance by the haversine formula, which is exact enough for near points, too. */
export function distanceKm(a: Point, b: Point): number {
  const half = (from: number, to: number): number => Math.sin(radians(to - from) / 2) ** 2;
  const across = Math.cos(radians(a.latitude)) * Math.cos(radians(b.latitude));
  const h = half(a.latitude, b.latitude) + across * half(a.longitude, b.longitude);
  return 2 * EARTH_RADIUS_KM * Math.asin(Math.sqrt(Math.min(1, h)));
}

/** The candidates, the nearest first: by what was measured, else by distance. */
export function byNearness(
  candidates: readonly Candidate[],
  client: Client,
  latencies?: Latencies,
): readonly Near[] {
  return candidates
    .map((candidate) => withNearness(candidate, client, latencies?.of(client, candidate.name)))
    .toSorted((a, b) => costOf(a) - costOf(b));
}

/** Unknown round trips are all alike. */
export const costOf = ({ roundTripMs }: Pick<Near, 'roundTripMs'>): number => roundTripMs ?? 0;

function withNearness(
  candidate: Candidate,
  { point }: Client,
  measuredMs: number | undefined,
): Near {
  if (measuredMs !== undefined) {
    return { ...candidate, roundTripMs: measuredMs, nearnessBy: 'latency' };
  }
  if (point === undefined) return { ...candidate, roundTripMs: undefined, nearnessBy: 'unknown' };
  const roundTripMs = distanceKm(point, candidate.point) * MS_PER_KM;
  return { ...candidate, roundTripMs, nearnessBy: 'distance' };
}

const radians = (degrees: number): number => (degrees * Math.PI) / 180;
