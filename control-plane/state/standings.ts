import type { Node, Tier } from '#core/contract/node.ts';
import { addCounts, type Heartbeat, type PurgeReport } from '#core/contract/report.ts';

/** One lease as it was given. */
export interface Grant {
  /** No two grants have the same. */
  readonly id: number;
  readonly leaseMs: number;
}

/** How a node stands, as all control planes on one state know it. */
export interface StandingRecord {
  readonly node: string;
  readonly tier: Tier;
  /** Highest sequence that it is known to have applied; 0: none. */
  readonly fence: number;
  /** Its latest lease; `undefined`: it has none, or gave it back. */
  readonly grant: Grant | undefined;
}

/** What a node said last, and when: ms since the Unix epoch. */
export type LastHeartbeat = Heartbeat & { readonly at: number };

export type Counts = Pick<PurgeReport, 'objects' | 'bytes' | 'fills'>;

/**
 * Fences and leases of the nodes. There is no time in it: a control plane reckons each grant, by its
 * own monotonic clock, from when it first read of it, which is never before it was given. So no two
 * clocks are ever compared, and a lease is at worst believed to last longer than it does.
 */
export interface Standings {
  read(): Promise<{
    /** The highest sequence of a completed purge; 0 if there is none. */
    readonly completedFence: number;
    readonly nodes: readonly StandingRecord[];
  }>;
  /** By node. */
  heartbeats(): Promise<ReadonlyMap<string, LastHeartbeat>>;
  /** The node goes on from `fence`, even if it stood further before it was restarted. */
  resumed(node: Node, fence: number): Promise<void>;
  /** The node has applied all up to `fence`. */
  acknowledged(node: Node, fence: number): Promise<void>;
  /**
   * Grants a lease, unless the node is short of a completed purge and may hold what that has purged.
   * @param at ms since the Unix epoch
   * @returns `undefined` if there is no lease
   */
  heartbeat(
    node: Node,
    heartbeat: Heartbeat,
    at: number,
    leaseMs: number,
  ): Promise<Grant | undefined>;
  /** Grants a lease to those that have none: each may hold one that this state has lost. */
  presume(nodes: readonly Node[], leaseMs: number): Promise<void>;
  /** The node has given back its lease. */
  left(node: Node): Promise<void>;
  /** Forgets a node, if its grant is still the one that `standing` has. */
  forget(standing: StandingRecord): Promise<void>;
  /**
   * Raises the completed fence in one step with making sure that nobody can be in service behind it:
   * every node with a grant has reached `fence`, or is in `without` with the grant that it has now.
   * @returns false, and nothing is changed, if a node stands differently
   */
  complete(fence: number, without: readonly StandingRecord[]): Promise<boolean>;
  /** Keeps what a node reports of a purge. @returns false if this report was there already */
  report(purgeId: string, node: string, report: PurgeReport): Promise<boolean>;
  /** By node, the sum of what it reported of the purge, as long as it is kept. */
  reports(purgeId: string): Promise<ReadonlyMap<string, Counts>>;
}

/** Adds up what nodes reported. */
export function sumOfReports(
  reports: Iterable<readonly [node: string, report: PurgeReport]>,
): ReadonlyMap<string, Counts> {
  const sums = new Map<string, Counts>();
  for (const [node, { objects, bytes, fills }] of reports) {
    const sum: Counts = sums.get(node) ?? { objects: 0, bytes: 0, fills: 0 };
    sums.set(node, {
      objects: addCounts(sum.objects, objects),
      bytes: addCounts(sum.bytes, bytes),
      fills: sum.fills + fills,
    });
  }
  return sums;
}
