import type { GeoDatabase } from '#core/geography/database.ts';
import type { GeoRecord } from '#core/geography/record.ts';
import { hash32 } from '#core/hash.ts';
import type { Client, Point } from '../engine/client.ts';
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
    const matches = special.isSpecial
      ? []
      : this.#databases.map((database) => database.match(addressText(address)));
    const record: GeoRecord = Object.assign(
      {},
      ...matches.map((match) => match.record).toReversed(),
    ) as GeoRecord;
    const decided = Math.max(special.length, leastLength, ...matches.map(({ length }) => length));
    const country = record.country === undefined ? undefined : COUNTRIES.get(record.country);
    const grain =
      record.country === undefined && record.point === undefined ? UNKNOWN_GRAIN : GRAIN;
    const network = shortened(address, Math.max(decided, grain[address.family]));
    const key = prefixText(network);
    return {
      network,
      key,
      ...(record.asn !== undefined && { asn: record.asn }),
      ...(record.country !== undefined && { country: record.country }),
      ...(country !== undefined && { continent: country.continent }),
      ...this.#placeOf(record, country, key),
    };
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

/** As many networks to each place as people live there. */
function settlementOf({ settlements }: Country, key: string): Point | undefined {
  let left = hash32('settlement', key) / 2 ** 32;
  for (const place of settlements) {
    left -= place.part;
    if (left < 0) return { latitude: place.latitude, longitude: place.longitude };
  }
  return settlements[0];
}
