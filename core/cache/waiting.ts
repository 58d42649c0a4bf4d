import type { Clock } from '#core/clock.ts';
import type { Fill, FillResult } from './fill.ts';

/** Why one who waited for a fill has no result. */
export type NoResult =
  /** As many as allowed wait already. */
  | 'full'
  /** It has not come in time. */
  | 'late';

/**
 * The result of a fill for one of those who wait.
 * @param maxWaiters waiters of one fill; the one who started it is always let in
 * @param limitMs how long to wait for what is not there yet
 */
export async function waitFor(
  fill: Fill,
  clock: Clock,
  { collapsed, maxWaiters, limitMs }: { collapsed: boolean; maxWaiters: number; limitMs: number },
): Promise<FillResult | NoResult> {
  if (fill.settled) return fill.result;
  if (collapsed && fill.waiters >= maxWaiters) return 'full';
  if (limitMs <= 0) return 'late';
  fill.waiters++;
  const late = Promise.withResolvers<'late'>();
  const cancel = clock.after(limitMs, () => late.resolve('late'));
  try {
    return await Promise.race([fill.result, late.promise]);
  } finally {
    cancel();
    fill.waiters--;
  }
}
