import { LRUCache } from 'lru-cache';
import { BudgetedMap } from '#core/cache/eviction/budgeted-map.ts';
import { POLICY_NAMES, policyOf } from '#core/cache/eviction/policies.ts';
import { hash32 } from '#core/hash.ts';

/** A cache of numbers as both ours and lru-cache can be one. */
export interface Contender {
  get(key: string): number | undefined;
  set(key: string, value: number, bytes: number): void;
}

export type MakeContender = (budgetBytes: number) => Contender;

export const PEER = 'lru-cache';

export const CONTENDERS: ReadonlyMap<string, MakeContender> = new Map<string, MakeContender>([
  [PEER, lruCache],
  ...POLICY_NAMES.map((name) => [name, ours(name)] as const),
]);

function lruCache(budgetBytes: number): Contender {
  const cache = new LRUCache<string, number>({ maxSize: budgetBytes });
  return {
    get: (key) => cache.get(key),
    set: (key, value, size) => void cache.set(key, value, { size }),
  };
}

function ours(name: (typeof POLICY_NAMES)[number]): MakeContender {
  return (budgetBytes) =>
    new BudgetedMap({ budgetBytes, makePolicy: policyOf(name), hashOf: hash32 });
}
