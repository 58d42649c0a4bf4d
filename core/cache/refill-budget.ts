import { LRUCache } from 'lru-cache';
import type { Clock } from '#core/clock.ts';
import { TokenBucket } from '#core/token-bucket.ts';
import type { ServedSite } from './served-site.ts';

const MAX_SITES = 1_000;

/** How often each site may have parents asked for what a purge has made stale, in one thread. */
export class RefillBudget {
  readonly #clock: Clock;
  readonly #node: { readonly threads: number };
  readonly #bySite = new LRUCache<string, TokenBucket>({ max: MAX_SITES });

  /** @param node of which each thread has its share */
  constructor(clock: Clock, node: { readonly threads: number }) {
    this.#clock = clock;
    this.#node = node;
  }

  /** Takes one refill. @returns 0, or in how many ms there will be one */
  take({ name, cache }: Pick<ServedSite, 'name' | 'cache'>): number {
    const perSecond = cache.refillsPerSecond / this.#node.threads;
    const rate = { perSecond, burst: Math.max(1, perSecond) };
    const bucket = this.#bySite.get(name) ?? new TokenBucket(this.#clock, rate);
    this.#bySite.set(name, bucket);
    return bucket.take(1, rate);
  }
}
