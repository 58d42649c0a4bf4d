import type { Node } from '#core/contract/node.ts';
import { type DatedLoad, usedPart } from '#core/node/used-part.ts';
import { nextShed } from '../engine/load.ts';

interface Watched {
  readonly last: DatedLoad;
  readonly shed: number;
}

/** What part of its clients each edge sheds, by the load that it reports and the limits that it has. */
export class EdgeLoads {
  readonly #edges = new Map<string, Watched>();

  shedOf(edge: string): number {
    return this.#edges.get(edge)?.shed ?? 0;
  }

  /** Takes up what an edge has reported since; a report that is known already changes nothing. */
  heard(edge: Pick<Node, 'name' | 'limits'>, last: DatedLoad, spillAt: number): void {
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
