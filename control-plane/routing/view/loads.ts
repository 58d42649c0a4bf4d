import type { Node, NodeLimits } from '#core/contract/node.ts';
import type { Load } from '#core/contract/report.ts';
import type { NodeStanding } from '#core/contract/standing.ts';
import { nextShed } from '../engine/load.ts';

type LastHeartbeat = NonNullable<NodeStanding['last']>;

interface Watched {
  readonly last: LastHeartbeat;
  readonly shed: number;
}

/** What part of its clients each edge sheds, by the load that it reports and the limits that it has. */
export class EdgeLoads {
  readonly #edges = new Map<string, Watched>();

  shedOf(edge: string): number {
    return this.#edges.get(edge)?.shed ?? 0;
  }

  /** Takes up what an edge has reported since; a report that is known already changes nothing. */
  heard(edge: Pick<Node, 'name' | 'limits'>, last: LastHeartbeat, spillAt: number): void {
    const before = this.#edges.get(edge.name);
    if (before?.last.at === last.at) return;
    const used = before && usedPart(edge.limits, before.last, last);
    const shed = before?.shed ?? 0;
    this.#edges.set(edge.name, {
      last,
      shed: used === undefined ? shed : nextShed(shed, used, spillAt),
    });
  }

  /** Forgets all edges but these. */
  retain(edges: ReadonlySet<string>): void {
    for (const name of this.#edges.keys()) if (!edges.has(name)) this.#edges.delete(name);
  }
}

/** The largest used part of the limits between two reports; `undefined`: they do not tell. */
export function usedPart(
  limits: NodeLimits | undefined,
  from: LastHeartbeat,
  to: LastHeartbeat,
): number | undefined {
  if (limits === undefined) return 0;
  const seconds = (to.at - from.at) / 1000;
  const rate = (counter: 'requests' | 'bytesSent'): number =>
    (to.load[counter] - from.load[counter]) / seconds;
  // It was restarted, or its clock was set back.
  if (seconds <= 0 || !hasCounted(from.load, to.load)) return undefined;
  const { requestsPerSecond = Infinity, megabitsPerSecond = Infinity } = limits;
  return Math.max(
    rate('requests') / requestsPerSecond,
    (rate('bytesSent') * 8) / 1e6 / megabitsPerSecond,
    to.load.connections / (limits.connections ?? Infinity),
  );
}

const hasCounted = (from: Load, to: Load): boolean =>
  to.requests >= from.requests && to.bytesSent >= from.bytesSent;
