import type { Tier } from '#core/contract/node.ts';
import {
  addCounts,
  MAX_FAILURES,
  NO_COUNTS,
  type PushCounts,
  type PushFailure,
  type PushPriority,
  type PushReport,
  type PushVariant,
} from '#core/contract/push.ts';

export interface PushTarget {
  readonly node: string;
  readonly tier: Tier;
  readonly location: string;
}

/** How one node stands to a push. */
export interface NodePush extends PushTarget, PushCounts {
  /** lease-ended: it was gone for long enough that nobody waits for it. */
  readonly status: 'pending' | 'complete' | 'lease-ended';
  /** From the push's order until the node was through; `null` before. */
  readonly tookMs: number | null;
  /** The first of them. */
  readonly failures: readonly PushFailure[];
}

export interface PushRecord {
  readonly id: string;
  /** Of the event that ordered it. */
  readonly sequence: number;
  /** complete: every node is through, or gone. */
  readonly status: 'running' | 'complete' | 'cancelled' | 'expired';
  /** Those whose objects are pushed. */
  readonly sites: readonly string[];
  readonly sources: {
    /** URLs that were given as such. */
    readonly urls: number;
    readonly sitemaps: readonly string[];
    readonly manifests: readonly string[];
  };
  /** URLs in all. One URL in each variant is an object. */
  readonly urls: number;
  /** URLs of sitemaps and manifests that are of no site of the network, or of none that the token extends to. */
  readonly skipped: number;
  readonly variants: readonly PushVariant[];
  readonly targets: readonly PushTarget[];
  readonly priority: PushPriority;
  readonly concurrency: number;
  readonly bytesPerSecond: number | null;
  /** The token. */
  readonly by: string;
  readonly reason?: string;
  /** Milliseconds since the Unix epoch. */
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly endedAt?: number;
  /** Once it has ended; before, each node's progress is a record of its own. */
  readonly nodes?: readonly NodePush[];
}

/** How far a node is, as of its last word. */
export interface NodeProgress {
  /** Index of the first URL that is not settled. */
  readonly next: number;
  /** Of the URLs before `next`. */
  readonly counts: PushCounts;
  /** Of those after it. */
  readonly underWay: PushCounts;
  readonly failures: readonly PushFailure[];
  /** Milliseconds since the Unix epoch. */
  readonly heardAt: number;
}

export const newProgress = (now: number): NodeProgress => ({
  next: 0,
  counts: NO_COUNTS,
  underWay: NO_COUNTS,
  failures: [],
  heardAt: now,
});

/**
 * The progress after a node's report.
 * @returns `undefined` where it tells nothing new: it is not of the work given last
 */
export function reported(
  before: NodeProgress,
  { from, through, counts, failures }: PushReport,
  urls: number,
  now: number,
): NodeProgress | undefined {
  if (from !== before.next || through < from || through > urls) return undefined;
  if (through === from) return { ...before, underWay: counts, heardAt: now };
  return {
    next: through,
    counts: addCounts(before.counts, counts),
    underWay: NO_COUNTS,
    failures: [...before.failures, ...failures].slice(0, MAX_FAILURES),
    heardAt: now,
  };
}

/** How a node stands, for people. @param isGone nobody waits for it any more */
export function nodePush(
  { urls, createdAt }: Pick<PushRecord, 'urls' | 'createdAt'>,
  target: PushTarget,
  progress: NodeProgress,
  isGone: boolean,
): NodePush {
  const isThrough = progress.next >= urls;
  return {
    ...target,
    ...addCounts(progress.counts, progress.underWay),
    status: isThrough ? 'complete' : isGone ? 'lease-ended' : 'pending',
    tookMs: isThrough ? Math.max(0, progress.heardAt - createdAt) : null,
    failures: progress.failures,
  };
}
