import type { Config } from '#core/contract/event.ts';
import { groupOf, type Location, type Node, type Tier } from '#core/contract/node.ts';
import type { OriginServer, PullOrigin, Site } from '#core/contract/site.ts';
import { rendezvous, type Weighted } from './rendezvous.ts';

/** Where a request may be sent. */
export interface Parent {
  /** A node's name, or a server's URL: what logs, metrics and health know it by. */
  readonly name: string;
  readonly url: string;
  /** A node of this network, which is sent the tier fields and speaks fences; else a customer's server. */
  readonly tier: 'edge' | 'mid-tier' | 'origin' | 'customer';
  /** Not one of the site's servers: one of them has redirected there. */
  readonly isElsewhere?: boolean | undefined;
  /** How a customer's server is talked to. */
  readonly connection?: ServerConnection | undefined;
}

export type ServerConnection = Pick<PullOrigin, 'tls' | 'http2'>;

/** Parents that share out the objects among themselves. */
export type Stage = readonly (Parent & Weighted)[];

/** The node that asks. */
export interface Asking {
  readonly name: string;
  readonly tier: Tier;
}

/**
 * Whom a node asks for a site's objects, the first stage first: an edge the mid-tiers of its group,
 * which together are one sharded cache, then those of other groups, the shield last; a mid-tier the
 * shield, unless it is of that group itself; then the origin.
 */
export function stagesFor(
  { nodes }: Pick<Config, 'nodes'>,
  site: Pick<Site, 'origin' | 'shieldGroup'>,
  asking: Asking,
): readonly Stage[] {
  const midTiers = Map.groupBy(
    nodes.filter(({ tier, draining }) => tier === 'mid-tier' && !draining),
    groupOf,
  );
  const self = nodes.find(({ name }) => name === asking.name);
  const stages = groupsFor(midTiers, self, asking.tier, site.shieldGroup).map((group) =>
    (midTiers.get(group) ?? []).map((node) => nodeParent(node, 'mid-tier')),
  );
  return [...stages, ...originStages(nodes, site)].filter((stage) => stage.length > 0);
}

/** Whether edges ask this mid-tier first of its group for an object. */
export function isPreferred({ nodes }: Pick<Config, 'nodes'>, name: string, key: string): boolean {
  const self = nodes.find((node) => node.name === name);
  if (self === undefined) return false;
  const group = nodes.filter(
    (node) => node.tier === 'mid-tier' && !node.draining && groupOf(node) === groupOf(self),
  );
  const [first] = rendezvous(
    group.map((node) => nodeParent(node, 'mid-tier')),
    key,
  );
  return first?.name === name;
}

function groupsFor(
  midTiers: ReadonlyMap<string, readonly Node[]>,
  self: Node | undefined,
  tier: Tier,
  shield: string | null,
): readonly string[] {
  const own = groupOf(self ?? {});
  if (tier !== 'edge') return shield === null || shield === own ? [] : [shield];
  const distance = (group: string): number => distanceTo(midTiers.get(group) ?? [], self?.location);
  const others = [...midTiers.keys()].toSorted((a, b) => distance(a) - distance(b));
  const inOrder = new Set([own, ...(self?.fallbackGroups ?? []), ...others]);
  if (shield === null || shield === own) return [...inOrder];
  inOrder.delete(shield);
  return [...inOrder, shield];
}

function originStages(nodes: readonly Node[], { origin }: Pick<Site, 'origin'>): readonly Stage[] {
  if (origin.kind === 'push') {
    return [
      nodes
        .filter(({ tier, draining }) => tier === 'origin' && !draining)
        .map((node) => nodeParent(node, 'origin')),
    ];
  }
  const byPriority = Map.groupBy(origin.servers, ({ priority }) => priority);
  return [...byPriority]
    .toSorted(([a], [b]) => a - b)
    .map(([, servers]) => servers.map((server) => serverParent(server, origin)));
}

const nodeParent = (
  { name, url, capacity }: Node,
  tier: 'mid-tier' | 'origin',
): Parent & Weighted => ({ name, url, tier, weight: capacity });

const serverParent = (
  { url, weight }: OriginServer,
  connection: ServerConnection,
): Parent & Weighted => ({
  name: url,
  url,
  tier: 'customer',
  connection,
  weight,
});

/** To the nearest of `nodes`, on a sphere of radius 1. */
function distanceTo(nodes: readonly Node[], from: Location | undefined): number {
  if (from === undefined) return 0;
  return Math.min(...nodes.map(({ location }) => centralAngle(location, from)));
}

/** By the haversine formula, radians. */
function centralAngle(a: Location, b: Location): number {
  const rad = Math.PI / 180;
  const h =
    haversine((a.latitude - b.latitude) * rad) +
    Math.cos(a.latitude * rad) *
      Math.cos(b.latitude * rad) *
      haversine((a.longitude - b.longitude) * rad);
  return 2 * Math.asin(Math.sqrt(Math.min(1, h)));
}

const haversine = (angle: number): number => Math.sin(angle / 2) ** 2;
