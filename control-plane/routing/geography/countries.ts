import { CONTINENTS, type Continent } from '#core/contract/routing.ts';
import type { Point } from '../engine/client.ts';
import table from './countries.json' with { type: 'json' };

/** A place where a part of a country's people lives. */
export interface Settlement extends Point {
  /** Of the country's people, 0 to 1. */
  readonly part: number;
}

export interface Country {
  readonly continent: Continent;
  /** The largest first; empty where nobody lives. */
  readonly settlements: readonly Settlement[];
}

/** By ISO 3166-1 code. From cities and populations of GeoNames, CC BY 4.0: see deploy/countries.ts. */
export const COUNTRIES: ReadonlyMap<string, Country> = new Map(
  Object.entries(table).flatMap(([code, { continent, places }]) => {
    const known = CONTINENTS.find((one) => one === continent);
    if (known === undefined) return [];
    return [[code, { continent: known, settlements: places.map(settlement) }]] as const;
  }),
);

function settlement([latitude = 0, longitude = 0, percent = 0]: readonly number[]): Settlement {
  return { latitude, longitude, part: percent / 100 };
}
