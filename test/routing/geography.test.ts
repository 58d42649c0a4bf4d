import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { GeoDatabase } from '#core/geography/database.ts';
import { embeddedCountries } from '#core/geography/embedded.ts';
import { distanceKm } from '#control-plane/routing/engine/nearness.ts';
import { COUNTRIES } from '#control-plane/routing/geography/countries.ts';
import { within } from '#control-plane/routing/geography/displace.ts';
import { Geography } from '#control-plane/routing/geography/geography.ts';
import { eventually, temporaryDir } from '#test/control-plane/kit.ts';
import { whileTimePasses } from '#test/node/kit.ts';
import { FakeClock } from '#test/scenario/kit/clock.ts';
import { prefix } from './kit.ts';
import { mmdb } from './mmdb.ts';

const embedded = new Geography([embeddedCountries()]);
const located = (text: string, geography = embedded) => geography.locate(prefix(text));

function flip(bytes: Uint8Array, bit: number): void {
  bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (0x80 >> (bit & 7));
}

async function databaseOf(networks: Parameters<typeof mmdb>[0]): Promise<GeoDatabase> {
  const file = join(await temporaryDir(), 'test.mmdb');
  await writeFile(file, mmdb(networks));
  return GeoDatabase.open(file);
}

describe('the embedded database', () => {
  it.each([
    ['81.2.69.160', 'GB', 'EU'],
    ['193.0.6.139', 'NL', 'EU'],
    ['2001:4860:4860::8888', 'US', 'NA'],
    ['::ffff:81.2.69.160', 'GB', 'EU'],
    ['133.11.0.1', 'JP', 'AS'],
  ])('has %s in %s', (address, country, continent) => {
    expect(located(address)).toMatchObject({ country, continent, source: 'country' });
  });

  it.each([
    '10.0.0.1',
    '127.0.0.1',
    '192.168.1.1',
    '100.64.0.1',
    'fd00::1',
    'fe80::1',
    '::1',
    '::',
  ])('leaves %s unknown, without a point', (address) => {
    expect(located(address)).toMatchObject({ source: 'unknown' });
    expect(located(address).point).toBeUndefined();
  });

  it('has coordinates for every country with people', () => {
    const nowhere = [...COUNTRIES].filter(([, { settlements }]) => settlements.length === 0);
    expect(nowhere.map(([code]) => code)).toEqual(['AC', 'BV', 'HM', 'IO', 'TA', 'UM']);
    for (const { settlements } of COUNTRIES.values()) {
      const sum = settlements.reduce((total, { part }) => total + part, 0);
      expect(settlements.length === 0 || Math.abs(sum - 1) < 0.02).toBe(true);
    }
  });
});

describe('Geography', () => {
  it('puts unknown addresses where the operator says', () => {
    const oslo = { latitude: 59.91, longitude: 10.75 };
    const geography = new Geography([embeddedCountries()], oslo);
    expect(located('10.1.2.3', geography)).toMatchObject({ source: 'configured', point: oslo });
    expect(located('81.2.69.160', geography).source).toBe('country');
  });

  it('spreads a country over the places where its people live', () => {
    const networks = Array.from({ length: 200 }, (_, i) => located(`3.${i}.0.0`));
    const american = networks.filter(({ country }) => country === 'US');
    expect(american.length).toBeGreaterThan(100);
    const west = american.filter(({ point }) => (point?.longitude ?? 0) < -110).length;
    expect(west / american.length).toBeGreaterThan(0.1);
    expect(west / american.length).toBeLessThan(0.5);
  });

  it('holds for all of the network that it names', () => {
    fc.assert(
      fc.property(fc.ipV4(), fc.nat(), (address, beyond) => {
        const client = located(address);
        const other = prefix(address);
        for (let bit = client.network.length; bit < 32; bit++) {
          if (((beyond >> (31 - bit)) & 1) === 1) flip(other.bytes, bit);
        }
        expect(embedded.locate(other)).toEqual(client);
      }),
      { numRuns: 500 },
    );
  });

  it('reads cities with their radius, of IPv4 and IPv6, and ASNs of another database', async () => {
    const paris = { latitude: 48.85, longitude: 2.35, accuracy_radius: 5 };
    const cities = await databaseOf({
      '8.8.8.0/24': { location: paris, country: { iso_code: 'FR' } },
      '2a02:6b8::/32': { location: paris, country: { iso_code: 'FR' } },
      '9.9.9.0/24': { country_code: 'DE', latitude: '50.11', longitude: '8.68' },
    });
    const asns = await databaseOf({ '8.8.8.0/25': { autonomous_system_number: 15_169 } });
    const geography = new Geography([cities, asns, embeddedCountries()]);
    for (const address of ['8.8.8.8', '2a02:6b8::1']) {
      const { country, continent, source, point } = geography.locate(prefix(address));
      expect({ country, continent, source }).toEqual({
        country: 'FR',
        continent: 'EU',
        source: 'city',
      });
      expect(distanceKm(point ?? { latitude: 0, longitude: 0 }, paris)).toBeLessThanOrEqual(5.01);
    }
    expect(geography.locate(prefix('8.8.8.8'))).toMatchObject({ asn: 15_169, key: '8.8.8.0/25' });
    expect(geography.locate(prefix('8.8.8.200')).asn).toBeUndefined();
    expect(geography.locate(prefix('9.9.9.9'))).toMatchObject({ country: 'DE', source: 'city' });
  });
});

describe('within', () => {
  it('stays in the radius, and fills it evenly', () => {
    const point = { latitude: 60, longitude: 179.9 };
    const distances = Array.from({ length: 2000 }, (_, i) =>
      distanceKm(point, within(point, 100, `10.${i}.0.0/16`)),
    );
    expect(Math.max(...distances)).toBeLessThanOrEqual(100.1);
    const inner = distances.filter((distance) => distance < 100 / Math.SQRT2).length;
    expect(inner / distances.length).toBeCloseTo(0.5, 1);
  });
});

describe('GeoDatabase', () => {
  it('takes up a new file, but none that is damaged, and says so', async () => {
    const clock = new FakeClock();
    const database = await databaseOf({ '8.8.8.0/24': { country_code: 'DE' } });
    onTestFinished(() => database.close());
    const problems: unknown[] = [];
    database.watch(clock, (problem) => problems.push(problem));
    const country = () => database.match('8.8.8.8').record.country;
    const replace = async (content: Buffer): Promise<void> => {
      await writeFile(`${database.file}.new`, content);
      await rename(`${database.file}.new`, database.file);
    };
    expect(country()).toBe('DE');
    await eventually(() => clock.advance('10ms'));

    await replace(mmdb({ '8.8.8.0/24': { country_code: 'FR' } }));
    await whileTimePasses(clock, () => expect(country()).toBe('FR'));
    expect(problems).toEqual([undefined]);

    await replace(mmdb({ '8.8.8.0/24': { country_code: 'IT' } }).subarray(0, 700));
    await whileTimePasses(clock, () => expect(problems).toHaveLength(2));
    expect(String(problems[1])).toContain("no database in MaxMind's format");
    expect(country()).toBe('FR');
  });

  it('refuses to open what is none', async () => {
    expect(() => GeoDatabase.open('/nowhere.mmdb')).toThrow('Cannot read /nowhere.mmdb');
    const file = join(await temporaryDir(), 'test.mmdb');
    await writeFile(file, 'nonsense');
    expect(() => GeoDatabase.open(file)).toThrow("no database in MaxMind's format");
  });
});
