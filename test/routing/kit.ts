import type { Override, SiteRouting } from '#core/contract/routing.ts';
import { overrideSchema, siteRoutingSchema } from '#core/contract/routing.ts';
import type { Candidate } from '#control-plane/routing/engine/candidate.ts';
import type { Client, Point } from '#control-plane/routing/engine/client.ts';
import { decide, type Question } from '#control-plane/routing/engine/decide.ts';
import { Overrides } from '#control-plane/routing/engine/overrides.ts';
import { parsePrefix, type Prefix } from '#control-plane/routing/engine/prefix.ts';

export const CITIES = {
  oslo: [59.91, 10.75, 'NO', 'EU'],
  rome: [41.9, 12.5, 'IT', 'EU'],
  lisbon: [38.72, -9.14, 'PT', 'EU'],
  'new-york': [40.71, -74.01, 'US', 'NA'],
  tokyo: [35.68, 139.69, 'JP', 'AS'],
} as const;

export type City = keyof typeof CITIES;

export const pointOf = (city: City): Point => ({
  latitude: CITIES[city][0],
  longitude: CITIES[city][1],
});

/** A well edge there, named for it. */
export const edge = (city: City, change: Partial<Candidate> = {}): Candidate => ({
  name: city,
  point: pointOf(city),
  country: CITIES[city][2],
  continent: CITIES[city][3],
  weight: 1,
  condition: 'well',
  families: new Set([4]),
  shed: 0,
  ...change,
});

export const ALL = (Object.keys(CITIES) as City[]).map((city) => edge(city));

export function prefix(text: string): Prefix {
  const parsed = parsePrefix(text);
  if (parsed === undefined) throw new Error(`${text} is no network`);
  return parsed;
}

/** A client in `city`, of the network 192.0.2.0/24 unless `change` says otherwise. */
export const clientIn = (city: City, change: Partial<Client> = {}): Client => ({
  network: prefix('192.0.2.0/24'),
  key: '192.0.2.0/24',
  source: 'city',
  country: CITIES[city][2],
  continent: CITIES[city][3],
  point: pointOf(city),
  ...change,
});

type Wishes = Partial<Omit<SiteRouting, 'within'>> & {
  readonly within?: Partial<SiteRouting['within']>;
};

export const routing = (wishes: Wishes = {}): SiteRouting => siteRoutingSchema.parse(wishes);

export const overrides = (...list: readonly object[]): Overrides =>
  new Overrides(list.map((one): Override => overrideSchema.parse(one)));

export interface Asked extends Partial<Omit<Question, 'site'>> {
  readonly site?: Wishes;
}

/** Decides for a client in Rome among all edges, except for what `asked` says. */
export const decided = ({ site = {}, ...asked }: Asked = {}) =>
  decide({
    site: { name: 'film', routing: routing(site) },
    client: clientIn('rome'),
    candidates: ALL,
    overrides: overrides(),
    ...asked,
  });

export const names = (list: readonly { readonly name: string }[]): string[] =>
  list.map(({ name }) => name);
