import type { Node } from '#core/contract/node.ts';
import { parsePrefix } from './engine/prefix.ts';
import type { Routes, RoutedSite } from './routes.ts';

/** Clients of one network, and how much they ask. */
export interface Demand {
  /** An address or network. */
  readonly client: string;
  readonly requestsPerSecond: number;
}

/** One edge before and after. */
export interface EdgeShift {
  readonly node: string;
  readonly before: number;
  readonly after: number;
  /** Its limit of requests per second; `null`: none is set. */
  readonly limit: number | null;
  readonly overloads: boolean;
}

/** Requests per second that move from one edge to another; `null`: nobody. */
export interface Move {
  readonly from: string | null;
  readonly to: string | null;
  readonly clients: number;
  readonly requestsPerSecond: number;
}

export interface Simulation {
  readonly clients: number;
  readonly moved: number;
  /** The largest first. */
  readonly moves: readonly Move[];
  readonly edges: readonly EdgeShift[];
}

/**
 * Who would go where if some edges were gone.
 * @param before and `after` routes as they are, and without the edges
 */
export function simulate(
  site: RoutedSite,
  demands: readonly Demand[],
  {
    before,
    after,
    nodes,
  }: {
    readonly before: Routes;
    readonly after: Routes;
    readonly nodes: readonly Node[];
  },
): Simulation {
  const loads = new Map<string, { before: number; after: number }>();
  const load = (node: string): { before: number; after: number } => {
    const known = loads.get(node) ?? { before: 0, after: 0 };
    loads.set(node, known);
    return known;
  };
  const moves = new Map<string, { -readonly [Key in keyof Move]: Move[Key] }>();
  for (const { client, requestsPerSecond } of demands) {
    const address = parsePrefix(client);
    if (address === undefined) continue;
    const from = before.choose(site, address).chosen[0]?.name ?? null;
    const to = after.choose(site, address).chosen[0]?.name ?? null;
    if (from !== null) load(from).before += requestsPerSecond;
    if (to !== null) load(to).after += requestsPerSecond;
    if (from === to) continue;
    const key = `${from} ${to}`;
    const move = moves.get(key) ?? { from, to, clients: 0, requestsPerSecond: 0 };
    move.clients++;
    move.requestsPerSecond += requestsPerSecond;
    moves.set(key, move);
  }
  const edges = nodes
    .filter(({ tier }) => tier === 'edge')
    .map(({ name, limits }): EdgeShift => {
      const limit = limits?.requestsPerSecond ?? null;
      const shift = load(name);
      return { node: name, ...shift, limit, overloads: limit !== null && shift.after > limit };
    });
  return {
    clients: demands.length,
    moved: [...moves.values()].reduce((sum, { clients }) => sum + clients, 0),
    moves: [...moves.values()].toSorted((a, b) => b.requestsPerSecond - a.requestsPerSecond),
    edges,
  };
}
