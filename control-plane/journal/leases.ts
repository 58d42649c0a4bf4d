import type { Clock } from '#core/clock.ts';
import type { Node } from '#core/contract/node.ts';
import type { Heartbeat } from '#core/contract/report.ts';
import type { Grant, LastHeartbeat, StandingRecord, Standings } from '../state/standings.ts';

/** How a node stands: what it has applied, and whether it may be serving. */
export interface Standing extends StandingRecord {
  /** What is left of its lease, 0 once it has ended. */
  readonly remainingMs: number;
}

/** How the nodes stand at one moment. */
export interface Survey {
  readonly completedFence: number;
  /** Nodes that were deleted are among them until their lease has ended. */
  readonly nodes: readonly Standing[];
  /** See `NodeLeases.complete`. */
  readonly generation: number;
}

export interface NodeLeasesOptions {
  readonly clock: Clock;
  /** Of the leases granted here. */
  readonly leaseMs: number;
  readonly standings: Standings;
  /** Those that the configuration names. */
  readonly nodes: () => readonly Node[];
}

interface SeenGrant {
  readonly id: number;
  /** Time of `Clock.monotonicMs` when it was there already. */
  readonly sinceMonotonicMs: number;
}

/**
 * Fences and leases of the nodes, and when the leases end as far as this control plane can know. After
 * a start or a lost connection it presumes every node in service: a grant may have been lost.
 */
export class NodeLeases {
  readonly leaseMs: number;
  readonly #clock: Clock;
  readonly #standings: Standings;
  readonly #nodes: () => readonly Node[];
  /** By node. */
  readonly #seen = new Map<string, SeenGrant>();
  #generation = 0;
  #presumedGeneration = -1;

  private constructor(options: NodeLeasesOptions) {
    this.leaseMs = options.leaseMs;
    this.#clock = options.clock;
    this.#standings = options.standings;
    this.#nodes = options.nodes;
  }

  static async open(options: NodeLeasesOptions): Promise<NodeLeases> {
    const leases = new NodeLeases(options);
    await leases.survey();
    return leases;
  }

  /** Presumes from now on that any node may hold a lease that was given just now. */
  presumeAll(): void {
    this.#generation += 1;
    this.#seen.clear();
  }

  /** How the nodes stand now; forgets deleted nodes whose lease has ended. */
  async survey(): Promise<Survey> {
    const generation = this.#generation;
    if (this.#presumedGeneration !== generation) {
      await this.#standings.presume(this.#nodes(), this.leaseMs);
      this.#presumedGeneration = generation;
    }
    const { completedFence, nodes } = await this.#standings.read();
    // Of a time before the connection was lost, which says nothing about the time since.
    if (generation !== this.#generation) return this.survey();
    const standings = nodes.map((record) => ({
      ...record,
      remainingMs: this.#remainingMs(record),
    }));
    await this.#forgetDeleted(standings);
    return { completedFence, generation, nodes: standings };
  }

  /** What each node said last. */
  heartbeats(): Promise<ReadonlyMap<string, LastHeartbeat>> {
    return this.#standings.heartbeats();
  }

  /** A node opened its stream after `fence`: where it stands, even if it stood further before it was restarted. */
  resumed(node: Node, fence: number): Promise<void> {
    return this.#standings.resumed(node, fence);
  }

  acknowledged(node: Node, fence: number): Promise<void> {
    return this.#standings.acknowledged(node, fence);
  }

  /** @returns whether the lease is granted: not to a node that may hold what a completed purge has purged */
  async heartbeat(node: Node, heartbeat: Heartbeat): Promise<boolean> {
    const { leaseMs } = this;
    const now = this.#clock.now();
    const grant = await this.#standings.heartbeat(node, heartbeat, now, leaseMs);
    if (grant !== undefined) this.#firstSeen(node.name, grant, this.#clock.monotonicMs());
    return grant !== undefined;
  }

  /** The node has stopped serving, and says so: nobody has to wait for its lease. */
  left(node: Node): Promise<void> {
    return this.#standings.left(node);
  }

  /**
   * From now on no node that has not reached `fence` is granted a lease.
   * @param without those behind it whose lease has ended, or who hold no copies
   * @returns false, and nothing is changed, if the nodes no longer stand as `survey` says
   */
  async complete(
    fence: number,
    without: readonly Standing[],
    { generation }: Survey,
  ): Promise<boolean> {
    // Nothing is awaited between this look and the sending.
    return generation === this.#generation && this.#standings.complete(fence, without);
  }

  #remainingMs({ node, grant }: StandingRecord): number {
    if (grant === undefined) return 0;
    const now = this.#clock.monotonicMs();
    return Math.max(0, this.#firstSeen(node, grant, now) + grant.leaseMs - now);
  }

  #firstSeen(node: string, { id }: Grant, nowMonotonicMs: number): number {
    const seen = this.#seen.get(node);
    if (seen?.id === id) return seen.sinceMonotonicMs;
    this.#seen.set(node, { id, sinceMonotonicMs: nowMonotonicMs });
    return nowMonotonicMs;
  }

  async #forgetDeleted(standings: readonly Standing[]): Promise<void> {
    const names = new Set(this.#nodes().map(({ name }) => name));
    for (const standing of standings) {
      if (names.has(standing.node) || standing.remainingMs > 0) continue;
      this.#seen.delete(standing.node);
      await this.#standings.forget(standing);
    }
  }
}
