import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LatencyEntry } from '#core/contract/latency.ts';
import { embeddedCountries } from '#core/geography/embedded.ts';
import { distanceKm } from '#control-plane/routing/engine/nearness.ts';
import { Latencies } from '#control-plane/routing/engine/latencies.ts';
import { addressText, type Prefix, prefixText } from '#control-plane/routing/engine/prefix.ts';
import { Geography } from '#control-plane/routing/geography/geography.ts';
import { Routes } from '#control-plane/routing/routes.ts';
import {
  ALL,
  CITIES,
  type City,
  clientIn,
  decided,
  names,
  overrides,
  pointOf,
  prefix,
  routing,
} from './kit.ts';

const entry = (
  level: LatencyEntry['level'],
  of: string,
  roundTrips: Partial<Record<City, number>>,
): LatencyEntry => ({
  level,
  of,
  edges: Object.entries(roundTrips).map(([edge, roundTripMs]) => ({
    edge,
    roundTripMs,
    samples: 20,
  })),
});

const nearest = (latencies: Latencies, client = clientIn('rome')) =>
  decided({ latencies, client }).ranked[0];

describe('measured round trips', () => {
  const asn = entry('asn', '64500', { lisbon: 2, oslo: 3 });
  const country = entry('country', 'IT', { tokyo: 1, oslo: 2, lisbon: 4 });
  const network = entry('network', '192.0.2.0/24', {
    'new-york': 1,
    rome: 9,
    oslo: 9,
    tokyo: 9,
    lisbon: 9,
  });

  it.each([
    ['the network', [network, asn, country], { asn: 64500 }, '192.0.2.0/24'],
    ['else the ASN', [asn, country], { asn: 64500 }, '64500'],
    ['else the country', [asn, country], {}, 'IT'],
  ])('count for %s', (_, entries, change, of) => {
    const near = nearest(new Latencies(entries), clientIn('rome', change));
    expect(near?.nearnessBy).toBe('latency');
    expect(near?.measurement?.of).toBe(of);
  });

  it('are of the smallest network that has them, and of the next for other edges', () => {
    const wide = entry('network', '192.0.0.0/16', { oslo: 5, tokyo: 2 });
    const latencies = new Latencies([wide, entry('network', '192.0.2.0/24', { oslo: 9 })]);
    const measuredTo = latencies.about(clientIn('rome'));
    expect([measuredTo('oslo')?.roundTripMs, measuredTo('tokyo')?.roundTripMs]).toEqual([9, 2]);
    expect(measuredTo('rome')).toBeUndefined();
  });

  it('make what is not measured no nearer than its distance and the way home', () => {
    // By distance alone Rome would be at 0 ms; this client takes 20 ms more than distance to anywhere.
    const oslo = distanceKm(pointOf('rome'), pointOf('oslo')) * 0.02 + 20;
    const near = decided({
      latencies: new Latencies([entry('network', '192.0.2.0/24', { oslo })]),
    });
    const rome = near.ranked.find(({ name }) => name === 'rome');
    expect(rome?.roundTripMs).toBeCloseTo(20);
    expect(names(near.ranked)[0]).toBe('rome');
    const fast = new Latencies([entry('network', '192.0.2.0/24', { oslo: 15 })]);
    expect(nearest(fast)?.name).toBe('rome');
  });

  it('come before edges of which nothing is known', () => {
    const { point: _, ...lost } = clientIn('rome', { source: 'unknown' });
    const latencies = new Latencies([entry('network', '192.0.2.0/24', { tokyo: 30, oslo: 60 })]);
    const { ranked } = decided({ latencies, client: lost });
    expect(names(ranked)[0]).toBe('tokyo');
  });
});

describe('scopes of answers', () => {
  const site = { name: 'film', routing: routing({ answers: 1 }) };
  const geography = new Geography([embeddedCountries()]);

  it('end where a measured network begins', () => {
    const latencies = new Latencies([entry('network', '81.2.69.0/24', { tokyo: 1 })]);
    const routes = new Routes(geography, { candidates: ALL, overrides: overrides(), latencies });
    const of = (address: string) => routes.find(site, prefix(address));
    expect(names(of('81.2.69.160').decision.chosen)).toEqual(['tokyo']);
    expect(prefixText(of('81.2.69.160').scope)).toBe('81.2.69.0/24');
    expect(names(of('81.2.68.1').decision.chosen)).not.toEqual(['tokyo']);
    expect(of('81.2.68.1').scope.length).toBeLessThanOrEqual(24);
  });

  it('hold for every client in them, whatever has been measured', () => {
    const entries = fc.uniqueArray(
      fc.record({ third: fc.nat(255), city: fc.constantFrom(...(Object.keys(CITIES) as City[])) }),
      { selector: ({ third }) => third, maxLength: 6 },
    );
    fc.assert(
      fc.property(entries, fc.nat(65_535), fc.array(fc.nat(65_535)), (list, host, others) => {
        const latencies = new Latencies(
          list.map(({ third, city }) => entry('network', `81.2.${third}.0/24`, { [city]: 1 })),
        );
        const routes = new Routes(geography, {
          candidates: ALL,
          overrides: overrides(),
          latencies,
        });
        const chosen = (address: Prefix) => names(routes.find(site, address).decision.chosen);
        const address = inside(host);
        const { scope } = routes.find(site, address);
        for (const other of others.map(inside).filter((one) => isIn(one, scope))) {
          expect([addressText(other), chosen(other)]).toEqual([
            addressText(other),
            chosen(address),
          ]);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('leave clients where they are that are not measured themselves', () => {
    const before = new Routes(geography, { candidates: ALL, overrides: overrides() });
    const latencies = new Latencies([entry('network', '3.5.7.0/24', { tokyo: 1 })]);
    const after = new Routes(geography, { candidates: ALL, overrides: overrides(), latencies });
    for (const address of ['3.5.6.1', '3.5.8.1', '3.5.128.1']) {
      const [one, other] = [before, after].map((routes) => routes.locate(prefix(address)));
      expect(other?.point).toEqual(one?.point);
      expect(other?.key).toBe(one?.key);
    }
  });
});

const inside = (host: number): Prefix => prefix(`81.2.${host >> 8}.${host & 255}`);
const isIn = (address: Prefix, scope: Prefix): boolean =>
  prefixText({ ...prefix(`${addressText(address)}/${scope.length}`) }) === prefixText(scope);
