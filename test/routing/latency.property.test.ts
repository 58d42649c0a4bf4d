import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Observation } from '#core/contract/latency.ts';
import {
  aged,
  HALF_LIFE_MS,
  type Histogram,
  medianOf,
  MOST_WEIGHT,
  observed,
  weightOf,
} from '#control-plane/latency/histogram.ts';
import { LEAST_NETWORKS, LEAST_SAMPLES, mapOf } from '#control-plane/latency/map.ts';
import { MAX_EDGES, merged, type Shard } from '#control-plane/latency/shard.ts';

const NOW = Date.UTC(2026, 0, 1);
const ms = fc.double({ min: 0.1, max: 5_000, noNaN: true });

const histogramOf = (values: readonly number[], now = NOW): Histogram =>
  values.reduce<Histogram>((sum, value) => observed(sum, value, now), { asOf: now, weights: [] });

const repeated = <T>(count: number, value: T): T[] => Array.from({ length: count }, () => value);

describe('a histogram of round trips', () => {
  it('has the median of what it was told, at most 5 % off', () => {
    fc.assert(
      fc.property(fc.array(ms, { minLength: 1, maxLength: 80 }), (values) => {
        const sorted = values.toSorted((a, b) => a - b);
        const exact = sorted[Math.ceil(sorted.length / 2) - 1] ?? 0;
        const median = medianOf(histogramOf(values)) ?? 0;
        expect(median).toBeGreaterThanOrEqual(exact * 0.945 - 0.01);
        expect(median).toBeLessThanOrEqual(exact * 1.055 + 0.01);
      }),
    );
  });

  it('stays among the honest observations while fewer than half are forged, in any order', () => {
    const cases = fc.record({
      honest: fc.array(fc.double({ min: 20, max: 25, noNaN: true }), {
        minLength: 6,
        maxLength: 40,
      }),
      forged: fc.array(ms, { maxLength: 5 }),
      order: fc.infiniteStream(fc.nat()),
    });
    fc.assert(
      fc.property(cases, ({ honest, forged, order }) => {
        const all = [...honest, ...forged]
          .map((value) => ({ value, at: order.next().value }))
          .toSorted((a, b) => a.at - b.at);
        const median = medianOf(histogramOf(all.map(({ value }) => value))) ?? 0;
        expect(median).toBeGreaterThan(20 * 0.94);
        expect(median).toBeLessThan(25 * 1.06);
      }),
    );
  });

  it('weighs half after a half-life, and never more than its limit', () => {
    const many = histogramOf(repeated(500, 20));
    expect(weightOf(many)).toBeCloseTo(MOST_WEIGHT);
    expect(weightOf(aged(many, NOW + HALF_LIFE_MS))).toBeCloseTo(MOST_WEIGHT / 2);
    // A clock that was set back ages nothing, and makes nothing younger.
    expect(weightOf(aged(many, NOW - HALF_LIFE_MS))).toBeCloseTo(MOST_WEIGHT);
    expect(aged(many, NOW + 100 * HALF_LIFE_MS).weights).toEqual([]);
  });

  it('follows a network whose way has changed, however much it said before', () => {
    const changed = [...repeated(1000, 20), ...repeated(MOST_WEIGHT, 80)];
    expect(medianOf(histogramOf(changed))).toBeGreaterThan(75);
  });
});

const seen = (network: string, roundTripMs: number, more: Partial<Observation> = {}) =>
  ({ network, edge: 'oslo', roundTripMs, country: 'NO', asn: 64500, ...more }) as Observation;

const heard = (...groups: readonly (readonly Observation[])[]): Shard =>
  merged({ networks: [] }, groups.flat(), NOW, 1000);

const EDGES = new Set(['oslo', 'rome']);
const entry = (shard: Shard, level: string, now = NOW) =>
  mapOf([shard], EDGES, now).entries.find((one) => one.level === level);

describe('the map', () => {
  it('says nothing of a network before there are enough observations, or once they are old', () => {
    const few = heard(repeated(LEAST_SAMPLES - 1, seen('192.0.2.0/24', 20)));
    expect(mapOf([few], EDGES, NOW).entries).toEqual([]);
    const enough = heard(repeated(LEAST_SAMPLES, seen('192.0.2.0/24', 20)));
    expect(entry(enough, 'network')).toMatchObject({
      of: '192.0.2.0/24',
      edges: [{ edge: 'oslo', samples: LEAST_SAMPLES }],
    });
    expect(mapOf([enough], EDGES, NOW + HALF_LIFE_MS).entries).toEqual([]);
    expect(mapOf([enough], new Set(['rome']), NOW).entries).toEqual([]);
  });

  it('has an ASN and a country where their networks agree, each with one vote', () => {
    const networks = ['192.0.2.0/24', '198.51.100.0/24', '203.0.113.0/24'];
    const honest = networks.map((of) => repeated(LEAST_SAMPLES, seen(of, 20)));
    // However much it says, it says it of itself.
    const loud = repeated(5000, seen('198.18.0.0/24', 4000));
    const map = heard(...honest, loud);
    for (const level of ['asn', 'country']) {
      const [edge] = entry(map, level)?.edges ?? [];
      expect(edge?.roundTripMs).toBeLessThan(22);
      expect(edge?.samples).toBe(4);
    }
    expect(entry(heard(...honest.slice(1)), 'asn')).toBeUndefined();
  });

  it('has no country whose networks are far apart', () => {
    const near = ['192.0.2.0/24', '198.51.100.0/24'].map((of) => seen(of, 10));
    const far = ['203.0.113.0/24', '198.18.0.0/24'].map((of) => seen(of, 90));
    const map = heard(...[...near, ...far].map((one) => repeated(LEAST_SAMPLES, one)));
    expect(entry(map, 'country')).toBeUndefined();
    expect(entry(map, 'network')).toBeDefined();
  });

  it('takes all of a /32 of IPv6 for one voice', () => {
    const own = Array.from({ length: 50 }, (_, i) =>
      repeated(LEAST_SAMPLES, seen(`2001:db8:${(i + 1).toString(16)}::/48`, 1)),
    );
    expect(entry(heard(...own), 'country')).toBeUndefined();
    expect(LEAST_NETWORKS).toBeGreaterThan(1);
  });

  it('stays as it was told while it hardly differs, and while half of what it takes is left', () => {
    const first = heard(repeated(LEAST_SAMPLES, seen('192.0.2.0/24', 20)));
    const before = mapOf([first], EDGES, NOW);
    const told = before.entries[0]?.edges[0]?.roundTripMs;
    const wobbled = merged(first, repeated(20, seen('192.0.2.0/24', 21.5)), NOW);
    const now = mapOf([wobbled], EDGES, NOW);
    expect(now.digest).not.toBe(before.digest);
    expect(mapOf([wobbled], EDGES, NOW, before).digest).toBe(before.digest);
    const moved = merged(first, repeated(20, seen('192.0.2.0/24', 30)), NOW);
    const after = mapOf([moved], EDGES, NOW, before).entries[0]?.edges[0]?.roundTripMs;
    expect(after).toBeGreaterThan((told ?? 0) * 1.3);
    const later = NOW + HALF_LIFE_MS;
    expect(mapOf([first], EDGES, later, before).digest).toBe(before.digest);
    expect(mapOf([first], EDGES, later + HALF_LIFE_MS, before).entries).toEqual([]);
  });

  it('has another digest only when round trips are others', () => {
    const first = heard(repeated(LEAST_SAMPLES, seen('192.0.2.0/24', 20)));
    const more = merged(first, [seen('192.0.2.0/24', 20)], NOW);
    const other = merged(first, repeated(20, seen('192.0.2.0/24', 40)), NOW);
    const digest = (shard: Shard) => mapOf([shard], EDGES, NOW).digest;
    expect(digest(more)).toBe(digest(first));
    expect(digest(other)).not.toBe(digest(first));
  });
});

describe('what is remembered', () => {
  it('is bounded, and keeps those that are heard most', () => {
    const network = fc.nat(40).map((n) => `10.0.${n}.0/24`);
    const edge = fc.nat(30).map((n) => `edge-${n}`);
    const observation = fc
      .record({ network, edge, roundTripMs: ms })
      .map((one): Observation => ({ ...one, roundTripMs: one.roundTripMs }));
    fc.assert(
      fc.property(
        fc.array(fc.array(observation, { maxLength: 60 }), { maxLength: 6 }),
        (batches) => {
          const loud = repeated(50, seen('192.0.2.0/24', 20));
          const end = [loud, ...batches].reduce<Shard>(
            (shard, batch) => merged(shard, batch, NOW, 8),
            { networks: [] },
          );
          expect(end.networks.length).toBeLessThanOrEqual(8);
          for (const { edges } of end.networks) {
            expect(Object.keys(edges).length).toBeLessThanOrEqual(MAX_EDGES);
          }
          expect(end.networks.map((one) => one.network)).toContain('192.0.2.0/24');
        },
      ),
      { numRuns: 50 },
    );
  });
});
