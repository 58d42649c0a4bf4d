import type { Reason } from '#core/cache/policy/decide.ts';
import { isHit, type Outcome } from './cache-status.ts';

/** Where answers come from, as metrics tell them apart. */
export const CACHE_RESULTS = [
  /** The cache, fresh. */
  'hit',
  /** The cache, stale: renewed behind, or because no parent gave anything better in time. */
  'stale',
  /** The cache, once a parent had said that it still holds. */
  'revalidated',
  /** A fetch that another request had started. */
  'collapsed',
  /** A parent, for all who want it. */
  'miss',
  /** A parent, for this client alone. */
  'pass',
  /** The node itself: the request was refused, or is about the node. */
  'own',
] as const;

export type CacheResult = (typeof CACHE_RESULTS)[number];

const FRESH: ReadonlySet<Reason> = new Set(['fresh', 'fresh-lease-ended', 'refresh-ahead']);

export function cacheResult(outcome: Outcome): CacheResult {
  const { action, reason, detail, collapsed, forwardStatus } = outcome;
  if (isHit(outcome)) return FRESH.has(reason) ? 'hit' : 'stale';
  if (action === 'pass') return 'pass';
  if (action === 'refuse') return 'own';
  if (detail === 'stale-if-error' || detail === 'stale-while-slow') return 'stale';
  if (collapsed) return 'collapsed';
  return forwardStatus === 304 ? 'revalidated' : 'miss';
}
