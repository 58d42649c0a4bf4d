import type { Network } from '#core/contract/event.ts';
import { DEFAULT_NETWORK_ROUTING, type NetworkRouting, type Zone } from '#core/contract/routing.ts';
import { CanopyError } from '#core/errors.ts';

export const routingOf = ({ routing }: Network): NetworkRouting =>
  routing ?? DEFAULT_NETWORK_ROUTING;

/**
 * The routing with other values in the TXT record of a name; without values there is none.
 * @throws CanopyError `not-found` if the name is of none of our zones
 */
export function withTxtValues(
  routing: NetworkRouting,
  name: string,
  ttlSeconds: number,
  change: (present: readonly string[]) => readonly string[],
): NetworkRouting {
  const zones = routing.zones.filter((zone) => isWithin(name, zone));
  const zone = zones.toSorted((a, b) => b.name.length - a.name.length)[0];
  if (zone === undefined) throw new CanopyError('not-found', `No zone here has the name ${name}`);
  const present = zone.records.flatMap((one) =>
    one.name === name && one.type === 'TXT' ? one.values : [],
  );
  const values = change(present);
  const others = zone.records.filter((one) => one.name !== name || one.type !== 'TXT');
  const record = { name, type: 'TXT' as const, ttlSeconds, values: [...values] };
  const records = values.length === 0 ? others : [...others, record];
  return {
    ...routing,
    zones: routing.zones.map((one) => (one === zone ? { ...one, records } : one)),
  };
}

export const isWithin = (name: string, zone: Pick<Zone, 'name'>): boolean =>
  name === zone.name || name.endsWith(`.${zone.name}`);
