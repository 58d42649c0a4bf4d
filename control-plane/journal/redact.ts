import type { Config, JournalEvent, Network } from '#core/contract/event.ts';
import type { Tier } from '#core/contract/node.ts';

/** Only origin nodes are told the key that allows writing to the origin. */
export function configFor(tier: Tier, config: Config): Config {
  return tier === 'origin' ? config : { ...config, network: withoutPublishKey(config.network) };
}

export function eventFor(tier: Tier, event: JournalEvent): JournalEvent {
  if (tier === 'origin' || event.type !== 'network.put') return event;
  return { ...event, network: withoutPublishKey(event.network) };
}

/** An event as people may read it. */
export function withoutSecrets(event: JournalEvent): JournalEvent {
  return event.type === 'network.put'
    ? { ...event, network: { tierKey: '(not shown to tokens)' } }
    : event;
}

function withoutPublishKey(network: Network): Network {
  const { publishKey: _, ...rest } = network;
  return rest;
}
