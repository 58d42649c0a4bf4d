import type { Config } from '#core/contract/event.ts';
import { zonesOf } from '#core/contract/routed-hosts.ts';
import type { Signers } from './signed.ts';
import { ZoneSigner } from './zone-signer.ts';

export type { Signers } from './signed.ts';

/**
 * Those of the zones that are to be signed.
 * @param known that there are already, which remember what they have signed
 */
export function signersFor(config: Pick<Config, 'network'>, known: Signers = new Map()): Signers {
  const { dnssecKeys = [] } = config.network;
  const zones = new Set(zonesOf(config).flatMap(({ name, dnssec }) => (dnssec ? [name] : [])));
  return new Map(
    dnssecKeys
      .filter(({ zone }) => zones.has(zone))
      // The key of a zone is never another.
      .map(({ zone, key }) => [zone, known.get(zone) ?? new ZoneSigner(zone, key)]),
  );
}
