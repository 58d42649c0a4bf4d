import { LRUCache } from 'lru-cache';
import type { Clock } from '#core/clock.ts';
import { type Rate, TokenBucket } from '#core/token-bucket.ts';
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

  /** Whether there is none to be taken now. Takes none. */
  isSpent({ name, cache }: Pick<ServedSite, 'name' | 'cache'>): boolean {
    return this.#bySite.peek(name)?.has(1, this.#rateOf(cache)) === false;
  }

  /** Takes one refill. @returns 0, or in how many ms there will be one */
  take({ name, cache }: Pick<ServedSite, 'name' | 'cache'>): number {
    const rate = this.#rateOf(cache);
    const bucket = this.#bySite.get(name) ?? new TokenBucket(this.#clock, rate);
    this.#bySite.set(name, bucket);
    return bucket.take(1, rate);
  }

  #rateOf({ refillsPerSecond }: ServedSite['cache']): Rate {
    const perSecond = refillsPerSecond / this.#node.threads;
    return { perSecond, burst: Math.max(1, perSecond) };
  }
}
