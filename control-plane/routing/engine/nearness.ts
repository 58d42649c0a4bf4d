import type { Candidate } from './candidate.ts';
import type { Client, Point } from './client.ts';
import type { MeasuredTo, Measurement } from './latencies.ts';

/** A candidate with the round trip that is expected, ms; `undefined`: nothing is known of it. */
export type Near = Candidate & {
  readonly roundTripMs: number | undefined;
  readonly nearnessBy: 'latency' | 'distance' | 'unknown';
  readonly measurement?: Measurement;
};

export const EARTH_RADIUS_KM = 6371.0088;

/**
 * What distance costs: light takes 1 ms for 100 km of fibre and back, and fibre takes about twice
 * the way of the crow (Singla et al., The Internet at the Speed of Light, 2014).
 */
export const MS_PER_KM = 0.02;

/** Great-circle distance by the haversine formula, which is exact enough for near points, too. */
export function distanceKm(a: Point, b: Point): number {
  const half = (from: number, to: number): number => Math.sin(radians(to - from) / 2) ** 2;
  const across = Math.cos(radians(a.latitude)) * Math.cos(radians(b.latitude));
  const h = half(a.latitude, b.latitude) + across * half(a.longitude, b.longitude);
  return 2 * EARTH_RADIUS_KM * Math.asin(Math.sqrt(Math.min(1, h)));
}

/**
 * The candidates, the nearest first: by what was measured, else by distance. What the measured ones
 * take beyond their distance, the way to the client's home and detours, the others are taken to take, too:
 * else whatever is not measured would seem nearer than what is.
 */
export function byNearness(
  candidates: readonly Candidate[],
  { point }: Client,
  measuredTo: MeasuredTo,
): readonly Near[] {
  const known = candidates.map((candidate) => {
    const byDistanceMs = point && distanceKm(point, candidate.point) * MS_PER_KM;
    return { candidate, byDistanceMs, measurement: measuredTo(candidate.name) };
  });
  const measured = known.filter((one) => one.measurement !== undefined);
  const beyondMs = measured
    .map(({ measurement, byDistanceMs = 0 }) => (measurement?.roundTripMs ?? 0) - byDistanceMs)
    .toSorted((a, b) => a - b);
  // Of an even number the lower middle one: what is not measured is tried rather than not.
  const moreMs = Math.max(0, beyondMs[(beyondMs.length - 1) >> 1] ?? 0);
  return known
    .map(({ candidate, byDistanceMs, measurement }): Near => {
      if (measurement !== undefined) {
        const { roundTripMs } = measurement;
        return { ...candidate, roundTripMs, nearnessBy: 'latency', measurement };
      }
      if (byDistanceMs === undefined) {
        // As far as any, where some are known.
        const roundTripMs = measured.length > 0 ? beyondMs.at(-1) : undefined;
        return { ...candidate, roundTripMs, nearnessBy: 'unknown' };
      }
      return { ...candidate, roundTripMs: byDistanceMs + moreMs, nearnessBy: 'distance' };
    })
    .toSorted((a, b) => costOf(a) - costOf(b));
}

/** Unknown round trips are all alike. */
export const costOf = ({ roundTripMs }: Pick<Near, 'roundTripMs'>): number => roundTripMs ?? 0;

const radians = (degrees: number): number => (degrees * Math.PI) / 180;
