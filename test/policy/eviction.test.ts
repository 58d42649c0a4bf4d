import { describe, expect, test } from 'vitest';
import { BudgetedMap, type MakePolicy } from '#core/cache/eviction/budgeted-map.ts';
import { BALANCED, FREQUENT, GreedyDual, RECENT } from '#core/cache/eviction/greedy-dual.ts';
import { DEFAULT_POLICY, policyOf } from '#core/cache/eviction/policies.ts';
import { hash32 } from '#core/hash.ts';
import { footprintBytes, makeTrace, type Trace, type TraceShape } from '#bench/traces.ts';

/** Of 1, with a cache of this fraction of all that is asked for. */
function hitRatio({ ids, bytes }: Trace, makePolicy: MakePolicy, budgetBytes: number): number {
  const cache = new BudgetedMap<string, true>({ budgetBytes, makePolicy, hashOf: hash32 });
  let hits = 0;
  for (const id of ids) {
    const size = bytes[id] ?? 0;
    if (cache.get(`key ${id}`) !== undefined) hits++;
    else if (size <= budgetBytes) cache.set(`key ${id}`, true, size);
  }
  return hits / ids.length;
}

const TEMPERS = [BALANCED, FREQUENT, RECENT];

describe('the default policy', () => {
  test.each<[string, Partial<TraceShape>, number]>([
    ['web', { zipf: 0.8, sizes: 'web' }, 0.07],
    ['a CDN mix', { zipf: 0.9, sizes: 'cdn' }, 0.07],
    ['one size', { zipf: 0.9, sizes: 'even' }, 0.03],
    ['drifting popularity', { zipf: 0.9, sizes: 'cdn', driftFraction: 2 }, 0.07],
    ['drifting popularity, one size', { zipf: 0.9, sizes: 'even', driftFraction: 2 }, -0.01],
  ])('%s: ahead of LRU, and with the best of its tempers', (name, shape, ahead) => {
    const trace = makeTrace({
      name,
      requests: 150_000,
      objects: 30_000,
      zipf: 0.9,
      sizes: 'web',
      ...shape,
    });
    const budgetBytes = footprintBytes(trace) * 0.02;
    const found = hitRatio(trace, policyOf(DEFAULT_POLICY), budgetBytes);
    const tempers = TEMPERS.map((temper) =>
      hitRatio(trace, (entries) => new GreedyDual(entries, temper), budgetBytes),
    );
    expect(found).toBeGreaterThan(hitRatio(trace, policyOf('lru'), budgetBytes) + ahead);
    expect(found).toBeGreaterThan(Math.max(...tempers) - 0.015);
  });
});
