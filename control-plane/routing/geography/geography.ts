import type { GeoDatabase } from '#core/geography/database.ts';
import type { GeoRecord } from '#core/geography/record.ts';
import { hash32 } from '#core/hash.ts';
import type { Client, Point } from '../engine/client.ts';
import { distanceKm } from '../engine/nearness.ts';
import { addressText, bitsOf, type Prefix, prefixText, shortened } from '../engine/prefix.ts';
import { COUNTRIES, type Country } from './countries.ts';
import { within } from './displace.ts';
import { specialAt } from './special.ts';

/**
 * The largest network, in bits, that is taken to be in one place where chance decides which: so that
 * a country known by a few large networks is still spread over its places.
 */
const GRAIN = { 4: 16, 6: 32 } as const;
/** Of addresses that no database knows: what is one household or office, or little more. */
const UNKNOWN_GRAIN = { 4: 24, 6: 56 } as const;

/** How far databases may be wrong. */
const CITY_SLACK_KM = 100;
/** How far people may be from the places that stand for their country. */
const COUNTRY_SLACK_KM = 1000;

/** Where clients are, as the databases and the operator say. */
export class Geography {
  readonly #databases: readonly GeoDatabase[];
  readonly #elsewhere: Point | undefined;

  /**
   * @param databases asked in this order; the first that knows a thing is believed
   * @param elsewhere where those are whom none knows
   */
  constructor(databases: readonly GeoDatabase[], elsewhere?: Point) {
    this.#databases = databases;
    this.#elsewhere = elsewhere;
  }

  /**
   * @param first an address, or a network of which the first one counts
   * @param leastLength other things than place depend on so many bits
   */
  locate(first: Prefix, leastLength = 0): Client {
    const address: Prefix = { ...first, length: bitsOf(first) };
    const special = specialAt(address);
    const matches = special.isSpecial ? [] : this.#matches(address);
    const record = recordIn(matches);
    const decided = Math.max(special.length, ...matches.map(({ length }) => length));
    const country = record.country === undefined ? undefined : COUNTRIES.get(record.country);
    const grain =
      record.country === undefined && record.point === undefined ? UNKNOWN_GRAIN : GRAIN;
    const placed = shortened(address, Math.max(decided, grain[address.family]));
    // What else is known of a part of it moves nobody to another place.
    const key = prefixText(placed);
    return {
      network: shortened(address, Math.max(placed.length, leastLength)),
      key,
      ...(record.asn !== undefined && { asn: record.asn }),
      ...(record.country !== undefined && { country: record.country }),
      ...(country !== undefined && { continent: country.continent }),
      ...this.#placeOf(record, country, key),
    };
  }

  /** How far clients of the address are from a point at least, km, whatever is uncertain of where they are. */
  leastKm(first: Prefix, point: Point): number {
    const address: Prefix = { ...first, length: bitsOf(first) };
    if (specialAt(address).isSpecial) return 0;
    const record = recordIn(this.#matches(address));
    if (record.point !== undefined) {
      return Math.max(0, distanceKm(record.point, point) - (record.radiusKm ?? 0) - CITY_SLACK_KM);
    }
    const country = record.country === undefined ? undefined : COUNTRIES.get(record.country);
    const places = country?.settlements ?? [];
    if (places.length === 0) return 0;
    const nearest = Math.min(...places.map((place) => distanceKm(place, point)));
    return Math.max(0, nearest - COUNTRY_SLACK_KM);
  }

  #matches(address: Prefix): readonly GeoMatch[] {
    return this.#databases.map((database) => database.match(addressText(address)));
  }

  #placeOf(
    { point, radiusKm = 0 }: GeoRecord,
    country: Country | undefined,
    key: string,
  ): Pick<Client, 'source' | 'point'> {
    if (point !== undefined) return { source: 'city', point: within(point, radiusKm, key) };
    const home = country && settlementOf(country, key);
    if (home !== undefined) return { source: 'country', point: home };
    if (this.#elsewhere !== undefined) return { source: 'configured', point: this.#elsewhere };
    return { source: 'unknown' };
  }
}

type GeoMatch = ReturnType<GeoDatabase['match']>;

/** The first that knows a thing is believed. */
const recordIn = (matches: readonly GeoMatch[]): GeoRecord =>
  Object.assign({}, ...matches.map(({ record }) => record).toReversed()) as GeoRecord;

/** As many networks to each place as people live there. */
function settlementOf({ settlements }: Country, key: string): Point | undefined {
  let left = hash32('settlement', key) / 2 ** 32;
  for (const place of settlements) {
    left -= place.part;
    if (left < 0) return { latitude: place.latitude, longitude: place.longitude };
  }
  return settlements[0];
}
