import { LRUCache } from 'lru-cache';
import type { Node } from '#core/contract/node.ts';
import type { Heartbeat, PurgeReport } from '#core/contract/report.ts';
import {
  type Counts,
  type Grant,
  type LastHeartbeat,
  type StandingRecord,
  type Standings,
  sumOfReports,
} from './standings.ts';

/** Purges that still take a report. */
const REPORTED_PURGES = 10_000;

/** Standings of a control plane that is alone on its state; a restart asks the nodes anew. */
export class MemoryStandings implements Standings {
  readonly #nodes = new Map<string, StandingRecord>();
  readonly #heartbeats = new Map<string, LastHeartbeat>();
  readonly #reports = new LRUCache<string, Map<string, readonly [string, PurgeReport]>>({
    max: REPORTED_PURGES,
  });
  #completedFence: number;
  #grants = 0;

  constructor(completedFence: number) {
    this.#completedFence = completedFence;
  }

  async read() {
    return { completedFence: this.#completedFence, nodes: [...this.#nodes.values()] };
  }

  async heartbeats(): Promise<ReadonlyMap<string, LastHeartbeat>> {
    return this.#heartbeats;
  }

  async resumed(node: Node, fence: number): Promise<void> {
    this.#update(node, { fence });
  }

  async acknowledged(node: Node, fence: number): Promise<void> {
    this.#update(node, { fence: Math.max(fence, this.#nodes.get(node.name)?.fence ?? 0) });
  }

  async heartbeat(
    node: Node,
    heartbeat: Heartbeat,
    at: number,
    leaseMs: number,
  ): Promise<Grant | undefined> {
    const grant = heartbeat.fence >= this.#completedFence ? this.#grant(leaseMs) : undefined;
    this.#heartbeats.set(node.name, { ...heartbeat, at });
    this.#update(node, grant === undefined ? {} : { grant });
    return grant;
  }

  async presume(nodes: readonly Node[], leaseMs: number): Promise<void> {
    for (const node of nodes) {
      if (this.#nodes.get(node.name)?.grant !== undefined) continue;
      this.#update(node, { grant: this.#grant(leaseMs) });
    }
  }

  async left(node: Node): Promise<void> {
    this.#update(node, { grant: undefined });
  }

  async forget({ node, grant }: StandingRecord): Promise<void> {
    if (this.#nodes.get(node)?.grant?.id !== grant?.id) return;
    this.#nodes.delete(node);
    this.#heartbeats.delete(node);
  }

  async complete(fence: number, without: readonly StandingRecord[]): Promise<boolean> {
    const grants = new Map(without.map(({ node, grant }) => [node, grant?.id]));
    for (const { node, grant, fence: reached } of this.#nodes.values()) {
      if (grant !== undefined && reached < fence && grants.get(node) !== grant.id) return false;
    }
    this.#completedFence = Math.max(this.#completedFence, fence);
    return true;
  }

  async report(purgeId: string, node: string, report: PurgeReport): Promise<boolean> {
    const reports = this.#reports.get(purgeId) ?? new Map<string, readonly [string, PurgeReport]>();
    const key = `${node} ${report.sequence}`;
    if (reports.has(key)) return false;
    this.#reports.set(purgeId, reports.set(key, [node, report]));
    return true;
  }

  async reports(purgeId: string): Promise<ReadonlyMap<string, Counts>> {
    return sumOfReports(this.#reports.get(purgeId)?.values() ?? []);
  }

  #grant(leaseMs: number): Grant {
    this.#grants += 1;
    return { id: this.#grants, leaseMs };
  }

  #update({ name, tier }: Node, changes: Partial<StandingRecord>): void {
    const known = this.#nodes.get(name) ?? { fence: 0, grant: undefined };
    this.#nodes.set(name, { ...known, ...changes, node: name, tier });
  }
}
