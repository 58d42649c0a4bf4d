import type { Network } from '#core/contract/event.ts';
import { type DelegationSigner, newZoneKey, ZoneKey } from './dns/dnssec/zone-key.ts';
import { routingOf } from './txt.ts';

/** The network with a key for each zone that is to be signed. */
export function withKeysFor(network: Network): Network {
  const { dnssecKeys = [] } = network;
  const missing = signedZones(network).filter((zone) =>
    dnssecKeys.every((known) => known.zone !== zone),
  );
  if (missing.length === 0) return network;
  const made = missing.map((zone) => ({ zone, key: newZoneKey() }));
  return { ...network, dnssecKeys: [...dnssecKeys, ...made] };
}

/** What the parents of the signed zones are to be told. */
export function delegationSigners(
  network: Network,
): readonly (DelegationSigner & { readonly zone: string })[] {
  return signedZones(network).flatMap((zone) => {
    const known = network.dnssecKeys?.find((one) => one.zone === zone);
    return known === undefined ? [] : [{ zone, ...new ZoneKey(known.key).delegationSigner(zone) }];
  });
}

const signedZones = (network: Network): readonly string[] =>
  routingOf(network)
    .zones.filter(({ dnssec }) => dnssec)
    .map(({ name }) => name);
