import { Adaptive } from './adaptive.ts';
import type { MakePolicy } from './budgeted-map.ts';
import { GDSF, GreedyDual, LFU } from './greedy-dual.ts';
import { Fifo, Lru } from './recency.ts';
import { S3Fifo } from './s3-fifo.ts';
import { Sieve } from './sieve.ts';
import { WTinyLfu } from './w-tinylfu.ts';

/** Every policy, by the name that operators call it. */
const POLICIES = {
  adaptive: (entries) => new Adaptive(entries),
  gdsf: (entries) => new GreedyDual(entries, GDSF),
  'w-tinylfu': (entries) => new WTinyLfu(entries),
  's3-fifo': (entries) => new S3Fifo(entries),
  sieve: (entries) => new Sieve(entries),
  lfu: (entries) => new GreedyDual(entries, LFU),
  lru: (entries) => new Lru(entries),
  fifo: (entries) => new Fifo(entries),
} as const satisfies Record<string, MakePolicy>;

export type PolicyName = keyof typeof POLICIES;

export const POLICY_NAMES = Object.keys(POLICIES) as readonly PolicyName[];

/** The best on objects over web and CDN traffic, see bench/RESULTS.md. */
export const DEFAULT_POLICY: PolicyName = 'adaptive';

export const policyOf = (name: PolicyName): MakePolicy => POLICIES[name];
