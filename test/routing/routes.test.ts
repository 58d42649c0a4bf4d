import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { siteRoutingSchema } from '#core/contract/routing.ts';
import type { GeoDatabase } from '#core/geography/database.ts';
import { embeddedCountries } from '#core/geography/embedded.ts';
import { Overrides } from '#control-plane/routing/engine/overrides.ts';
import {
  addressText,
  type Prefix,
  prefixText,
  shortened,
} from '#control-plane/routing/engine/prefix.ts';
import { COUNTRIES } from '#control-plane/routing/geography/countries.ts';
import { Geography } from '#control-plane/routing/geography/geography.ts';
import { Routes } from '#control-plane/routing/routes.ts';
import { configOf, Served, sourceOf } from './dns-kit.ts';
import { ALL, CITIES, type City, names, overrides, prefix } from './kit.ts';

const site = { name: 'film', routing: siteRoutingSchema.parse({ answers: 1 }) };
const geography = new Geography([embeddedCountries()]);
const routes = new Routes(geography, { candidates: ALL, overrides: overrides() });

const chosen = (address: string, from = routes): string[] =>
  names(from.find(site, prefix(address)).decision.chosen);

describe('the scope of an answer', () => {
  it('holds: every client in it gets the same', () => {
    fc.assert(
      fc.property(
        fc.ipV4(),
        fc.array(fc.nat(), { minLength: 5, maxLength: 5 }),
        (address, others) => {
          const { scope } = routes.find(site, prefix(address));
          const inside = others.map((bits) => addressText(within(scope, bits)));
          expect(inside.map((other) => chosen(other))).toEqual(inside.map(() => chosen(address)));
        },
      ),
      { numRuns: 300 },
    );
  });

  it('is no longer than the data is, where all answers are alike', () => {
    const one = new Routes(geography, { candidates: ALL.slice(0, 1), overrides: overrides() });
    const lengths = ['81.2.69.160', '3.5.0.0', '133.11.0.1'].map((address) => {
      const client = one.locate(prefix(address)).network.length;
      return [one.find(site, prefix(address)).scope.length, client] as const;
    });
    for (const [scope, client] of lengths) expect(scope).toBeLessThan(client);
  });

  it('does not reach into a network that the operator has an override for', () => {
    const banned = overrides({ clients: { networks: ['81.2.69.128/25'] }, ban: ['oslo'] });
    const split = new Routes(geography, { candidates: ALL, overrides: banned });
    expect(chosen('81.2.69.1', split)).toEqual(['oslo']);
    expect(chosen('81.2.69.200', split)).not.toEqual(['oslo']);
    expect(split.find(site, prefix('81.2.69.1')).scope.length).toBe(25);
    expect(split.find(site, prefix('81.2.69.200')).scope.length).toBeLessThanOrEqual(25);
  });

  it('is forgotten with the situation', () => {
    const own = new Routes(geography, { candidates: ALL, overrides: overrides() });
    expect(chosen('81.2.69.160', own)).toEqual(['oslo']);
    const rest = ALL.filter(({ name }) => name !== 'oslo');
    own.renew({ candidates: rest, overrides: new Overrides([]) });
    expect(chosen('81.2.69.160', own)).not.toEqual(['oslo']);
  });
});

// What follows knows nothing of how the routers reckon: points as vectors, the largest dot product wins.
type Vector = readonly [number, number, number];

function vector(latitude: number, longitude: number): Vector {
  const [phi, lambda] = [(latitude * Math.PI) / 180, (longitude * Math.PI) / 180];
  return [Math.cos(phi) * Math.cos(lambda), Math.cos(phi) * Math.sin(lambda), Math.sin(phi)];
}

const POPS = (Object.keys(CITIES) as City[]).map((city, i) => ({
  address: `198.18.0.${i + 1}`,
  at: vector(CITIES[city][0], CITIES[city][1]),
}));

const dot = (a: Vector, b: Vector): number => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];

/** Addresses of the PoPs that are nearest to one of the points, or as near within 2 ms. */
function nearest(points: readonly Vector[]): Set<string> {
  return new Set(
    points.flatMap((point) => {
      const angles = POPS.map(({ address, at }) => ({ address, angle: Math.acos(dot(point, at)) }));
      const least = Math.min(...angles.map(({ angle }) => angle));
      return angles
        .filter(({ angle }) => (angle - least) * 6371 <= 100.1)
        .map((pop) => pop.address);
    }),
  );
}

describe('a thousand real networks, asked for through client subnets', () => {
  it(
    'are answered with the PoP nearest to where their people live',
    { timeout: 120_000 },
    async () => {
      const served = await Served.start({ source: sourceOf(configOf()) });
      const networks = realNetworks(1000);
      const wrong: string[] = [];
      const byCountry = new Map<string, Set<string>>();
      for (const { network, country } of networks) {
        const answers = await served.ask('film.cdn.example', network);
        const settlements = COUNTRIES.get(country)?.settlements ?? [];
        const plausible = nearest(settlements.map((one) => vector(one.latitude, one.longitude)));
        const isRight = answers.length > 0 && answers.every((answer) => plausible.has(answer));
        if (!isRight) wrong.push(`${prefixText(network)} ${country}: ${answers.join(' ')}`);
        const seen = byCountry.get(country) ?? new Set();
        byCountry.set(country, seen.add(answers[0] ?? ''));
      }
      expect(wrong).toEqual([]);
      expect(byCountry.size).toBeGreaterThan(50);
      // A country whose people live nearest to several PoPs is not piled on one of them.
      expect(byCountry.get('RU')?.size).toBeGreaterThan(1);
    },
  );
});

/** As many networks from the registries, evenly over the address space, of countries with people. */
function realNetworks(count: number): { network: Prefix; country: string }[] {
  const database: GeoDatabase = embeddedCountries();
  const found: { network: Prefix; country: string }[] = [];
  // A step that has no common factor with 2^24 comes to every /24.
  for (let i = 1; found.length < count; i++) {
    const place = (i * 10_368_889) % 2 ** 24;
    const network = prefix(`${place >> 16}.${(place >> 8) & 255}.${place & 255}.0/24`);
    const { country } = database.match(addressText(network)).record;
    const settlements = country === undefined ? undefined : COUNTRIES.get(country)?.settlements;
    if (country === undefined || settlements === undefined || settlements.length === 0) continue;
    // Private and reserved space may be in the database, but is nowhere.
    if (geography.locate(network).source === 'country') found.push({ network, country });
  }
  return found;
}

function within(scope: Prefix, bits: number): Prefix {
  const host = Buffer.alloc(4);
  host.writeUInt32BE(bits >>> 0);
  const inverse = shortened(
    { family: 4, bytes: new Uint8Array(4).fill(255), length: 32 },
    scope.length,
  );
  const bytes = scope.bytes.map(
    (byte, i) => byte | ((host[i] ?? 0) & ~(inverse.bytes[i] ?? 0) & 255),
  );
  return { family: 4, bytes, length: 32 };
}
