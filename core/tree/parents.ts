import type { Config } from '#core/contract/event.ts';
import type { Tier } from '#core/contract/node.ts';
import type { Site } from '#core/contract/site.ts';
import { rendezvous } from './rendezvous.ts';

/** Where a request may be sent. */
export interface Parent {
  /** A node's name, or a server's URL: what logs, metrics and health know it by. */
  readonly name: string;
  readonly url: string;
  /** A node of this network, which is sent the tier fields and speaks fences; else a customer's server. */
  readonly tier: 'mid-tier' | 'origin' | 'customer';
}

/**
 * The parents of an object in the order to try them: for an edge the mid-tiers as rendezvous
 * hashing ranks them, so that the group is one sharded cache; then the site's origin.
 */
export function parentsFor(
  config: Pick<Config, 'nodes'>,
  site: Site,
  asking: Tier,
  key: string,
): readonly Parent[] {
  const shields = asking === 'edge' ? nodesOf(config, 'mid-tier', key) : [];
  if (site.origin.kind === 'push') return [...shields, ...nodesOf(config, 'origin', key)];
  const servers = site.origin.servers
    .toSorted((a, b) => a.priority - b.priority)
    .map(({ url }): Parent => ({ name: url, url, tier: 'customer' }));
  return [...shields, ...servers];
}

function nodesOf(
  { nodes }: Pick<Config, 'nodes'>,
  tier: 'mid-tier' | 'origin',
  key: string,
): readonly Parent[] {
  const candidates = nodes
    .filter((node) => node.tier === tier && !node.draining)
    .map((node) => ({ name: node.name, url: node.url, weight: node.capacity }));
  return rendezvous(candidates, key).map(({ name, url }) => ({ name, url, tier }));
}
