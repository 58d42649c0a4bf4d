import { LRUCache } from 'lru-cache';
import type { Clock } from '#core/clock.ts';
import { TokenBucket } from '#core/token-bucket.ts';
import type { ServedSite } from './served-site.ts';

const MAX_SITES = 1_000;

/** How often each site may have parents asked for what a purge has made stale, in one thread. */
export class RefillBudget {
  readonly #clock: Clock;
  readonly #bySite = new LRUCache<string, TokenBucket>({ max: MAX_SITES });

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Takes one refill. @returns 0, or in how many ms there will be one */
  take({ name, cache }: Pick<ServedSite, 'name' | 'cache'>): number {
    const { refillsPerSecond: perSecond } = cache;
    const rate = { perSecond, burst: perSecond };
    const bucket = this.#bySite.get(name) ?? new TokenBucket(this.#clock, rate);
    this.#bySite.set(name, bucket);
    return bucket.take(1, rate);
  }
}
