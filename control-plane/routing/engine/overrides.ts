import type { Override, SiteRouting } from '#core/contract/routing.ts';
import type { Candidate } from './candidate.ts';
import type { Client } from './client.ts';
import type { DropReason } from './decide.ts';
import { parsePrefix } from './prefix.ts';
import { type PrefixMatch, PrefixTable } from './prefix-table.ts';

/** The operator's overrides, ready to be asked. */
export class Overrides {
  readonly #all: readonly Override[];
  readonly #byNetwork: PrefixTable<Override>;

  constructor(overrides: readonly Override[]) {
    this.#all = overrides;
    this.#byNetwork = new PrefixTable(
      overrides.flatMap((override) =>
        override.clients.networks.flatMap((text) => {
          const prefix = parsePrefix(text);
          return prefix === undefined ? [] : [[prefix, override] as const];
        }),
      ),
    );
  }

  /** How many bits of the client's address decide which networks of overrides hold it. */
  lengthAt(network: Client['network']): number {
    return this.#byNetwork.match(network).length;
  }

  /** Where it is in the operator's list. */
  placeOf(override: Override): number {
    return this.#all.indexOf(override);
  }

  /** Those that concern the client, in the operator's order. */
  matching(client: Client, site: string): readonly Override[] {
    if (this.#all.length === 0) return this.#all;
    const byNetwork = this.#byNetwork.match(client.network);
    return this.#all.filter(
      (override) =>
        (override.sites.length === 0 || override.sites.includes(site)) &&
        concerns(override, client, byNetwork),
    );
  }
}

function concerns(
  override: Override,
  { asn, country, continent }: Client,
  byNetwork: PrefixMatch<Override>,
): boolean {
  const { networks, asns, countries, continents } = override.clients;
  return (
    (networks.length === 0 || byNetwork.values.includes(override)) &&
    fits(asns, asn) &&
    fits(countries, country) &&
    fits(continents, continent)
  );
}

const fits = <T>(wanted: readonly T[], value: T | undefined): boolean =>
  wanted.length === 0 || (value !== undefined && wanted.includes(value));

/** What the operator forbids: edges outside the site's region, and banned ones. */
export const obeying = (
  matching: readonly Override[],
  { within }: Pick<SiteRouting, 'within'>,
): ((candidate: Candidate) => DropReason | undefined) => {
  const { countries, continents } = within;
  const isLimited = countries.length > 0 || continents.length > 0;
  return ({ name, country, continent }) => {
    const isWithin =
      (country !== undefined && countries.includes(country)) ||
      (continent !== undefined && continents.includes(continent));
    if (isLimited && !isWithin) return 'outside-region';
    return matching.some(({ ban }) => ban.includes(name)) ? 'banned' : undefined;
  };
};

/** Pins bind while one of the pinned is left; the first override of which that is so counts. */
export function pinned(
  matching: readonly Override[],
  left: readonly Candidate[],
): (candidate: Candidate) => DropReason | undefined {
  const pin = matching.find((override) =>
    left.some(({ name }) => override.pin.includes(name)),
  )?.pin;
  return ({ name }) => (pin === undefined || pin.includes(name) ? undefined : 'not-pinned');
}
