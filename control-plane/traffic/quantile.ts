import { LATENCY_BOUNDS } from '#core/telemetry/latencies.ts';

const BOUNDS_MS = LATENCY_BOUNDS.map((seconds) => Number(seconds) * 1000);

/**
 * A quantile of a histogram, within its bucket by proportion, as Prometheus' `histogram_quantile` has it:
 * wrong by at most the width of the bucket.
 * @param counts for each bucket, not cumulated
 * @returns ms, `null` where nothing was counted; what is beyond the last bound counts as that
 */
export function quantile(counts: ArrayLike<number>, part: number): number | null {
  const all = Array.from(counts);
  const total = all.reduce((sum, count) => sum + count, 0);
  if (total === 0) return null;
  const rank = part * total;
  let below = 0;
  for (const [i, count] of all.entries()) {
    if (below + count >= rank && count > 0) {
      const low = BOUNDS_MS[i - 1] ?? 0;
      const high = BOUNDS_MS[i] ?? Infinity;
      return Number.isFinite(high) ? low + ((rank - below) / count) * (high - low) : low;
    }
    below += count;
  }
  return BOUNDS_MS.findLast(Number.isFinite) ?? null;
}
