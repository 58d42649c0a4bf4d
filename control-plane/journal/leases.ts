import type { Clock } from '#core/clock.ts';
import type { Node, Tier } from '#core/contract/node.ts';
import type { Heartbeat } from '#core/contract/report.ts';

/** How a node stands: what it has applied, and whether it may be serving. */
export interface Standing {
  readonly node: string;
  readonly tier: Tier;
  /** Highest sequence that it is known to have applied; 0: none. */
  readonly fence: number;
  /** Time of `Clock.monotonicMs` from which it no longer serves without revalidation. */
  readonly leaseEndsAtMonotonicMs: number;
  readonly lastHeartbeat: (Heartbeat & { readonly at: number }) | null;
}

/** Fences and leases of the nodes. In memory only: a restarted control plane presumes every node in service. */
export class NodeLeases {
  readonly leaseMs: number;
  readonly #clock: Clock;
  readonly #standings = new Map<string, Standing>();

  /** @param nodes known from the state: each may hold a lease granted just before the restart */
  constructor(options: {
    readonly clock: Clock;
    readonly leaseMs: number;
    readonly nodes: readonly Node[];
  }) {
    this.leaseMs = options.leaseMs;
    this.#clock = options.clock;
    for (const { name, tier } of options.nodes) {
      this.#update(name, tier, { leaseEndsAtMonotonicMs: this.#leaseEnd() });
    }
  }

  /** A node opened its stream after `fence`: where it stands, even if it stood further before it was restarted. */
  resumed({ name, tier }: Node, fence: number): void {
    this.#update(name, tier, { fence });
  }

  acknowledged({ name, tier }: Node, fence: number): void {
    this.#update(name, tier, { fence: Math.max(fence, this.#standings.get(name)?.fence ?? 0) });
  }

  /**
   * @param completedFence a node that has not applied this may hold what a completed purge has purged
   * @returns whether the lease is granted
   */
  heartbeat({ name, tier }: Node, heartbeat: Heartbeat, completedFence: number): boolean {
    const granted = heartbeat.fence >= completedFence;
    this.#update(name, tier, {
      lastHeartbeat: { ...heartbeat, at: this.#clock.now() },
      ...(granted ? { leaseEndsAtMonotonicMs: this.#leaseEnd() } : {}),
    });
    return granted;
  }

  /** The node has stopped serving, and says so: nobody has to wait for its lease. */
  left({ name, tier }: Node): void {
    this.#update(name, tier, { leaseEndsAtMonotonicMs: -Infinity });
  }

  /** Nodes that were deleted are among them until their lease has ended. */
  standings(): readonly Standing[] {
    return [...this.#standings.values()];
  }

  of(name: string): Standing | undefined {
    return this.#standings.get(name);
  }

  /** Forgets deleted nodes whose lease has ended. */
  forgetAllBut(nodes: readonly Node[]): void {
    const names = new Set(nodes.map((node) => node.name));
    for (const standing of this.#standings.values()) {
      if (!names.has(standing.node) && this.remainingMs(standing) === 0) {
        this.#standings.delete(standing.node);
      }
    }
  }

  /** What is left of the lease, 0 once it has ended. */
  remainingMs(standing: Standing): number {
    return Math.max(0, standing.leaseEndsAtMonotonicMs - this.#clock.monotonicMs());
  }

  #leaseEnd(): number {
    return this.#clock.monotonicMs() + this.leaseMs;
  }

  #update(node: string, tier: Tier, changes: Partial<Standing>): void {
    const known = this.#standings.get(node) ?? {
      fence: 0,
      leaseEndsAtMonotonicMs: -Infinity,
      lastHeartbeat: null,
    };
    this.#standings.set(node, { ...known, ...changes, node, tier });
  }
}
