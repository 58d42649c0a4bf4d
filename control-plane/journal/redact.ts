import type { Config, JournalEvent, Network, SiteChange } from '#core/contract/event.ts';
import type { Node } from '#core/contract/node.ts';
import { withoutSiteSecrets } from '../config/secrets.ts';
import { changeSites } from '#core/node/config.ts';

type Told = Pick<Node, 'name' | 'tier'>;

/** The configuration as one node has it: with the canary, if it is one of its nodes. */
export function configFor(node: Told, { canary, ...config }: Config): Config {
  const sites =
    canary?.nodes.includes(node.name) === true
      ? changeSites(config.sites, canary.change)
      : config.sites;
  return { ...config, sites, network: networkFor(node, config.network) };
}

/** An event as one node is told it. */
export function eventFor(node: Told, event: JournalEvent): JournalEvent {
  switch (event.type) {
    case 'network.put':
      return { ...event, network: networkFor(node, event.network) };
    case 'canary.begin':
    case 'canary.end': {
      const { sequence, at, canary } = event;
      const change = canary.nodes.includes(node.name) ? canary.change : NO_CHANGE;
      return { sequence, at, type: 'sites.change', change };
    }
    default:
      return event;
  }
}

/** An event as people may read it. */
export function withoutSecrets(event: JournalEvent): JournalEvent {
  return event.type === 'network.put'
    ? { ...event, network: { tierKey: '(not shown to tokens)' } }
    : withoutSiteSecrets(event);
}

const NO_CHANGE: SiteChange = { put: [], delete: [] };

/** Only origin nodes are told the key that allows writing to the origin, only edges the challenges, only routers what signs zones. */
function networkFor(
  { tier }: Told,
  { publishKey, challenges, dnssecKeys, ...rest }: Network,
): Network {
  return {
    ...rest,
    ...(tier === 'origin' && publishKey !== undefined && { publishKey }),
    ...(tier === 'router' && dnssecKeys !== undefined && { dnssecKeys }),
    ...(tier === 'edge' && challenges !== undefined && { challenges }),
  };
}
