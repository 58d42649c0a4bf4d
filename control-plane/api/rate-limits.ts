import { LRUCache } from 'lru-cache';
import type { Clock } from '#core/clock.ts';
import { RateExceeded } from '#core/errors.ts';
import { type Rate, TokenBucket } from '#core/token-bucket.ts';

/** Tokens whose use is remembered; one forgotten has its whole burst again. */
const MAX_REMEMBERED = 10_000;

/** A rate for each of those who ask, kept by this replica for itself. */
export class RateLimits {
  readonly #clock: Clock;
  readonly #rate: Rate;
  readonly #what: string;
  readonly #buckets = new LRUCache<string, TokenBucket>({ max: MAX_REMEMBERED });

  /** @param what is counted, for the refusal */
  constructor(clock: Clock, rate: Rate, what: string) {
    this.#clock = clock;
    this.#rate = rate;
    this.#what = what;
  }

  /** @throws RateExceeded where `who` has to wait */
  take(who: string, count: number): void {
    const bucket = this.#buckets.get(who) ?? new TokenBucket(this.#clock, this.#rate);
    this.#buckets.set(who, bucket);
    const waitMs = bucket.take(count, this.#rate);
    if (waitMs === 0) return;
    const { perSecond, burst } = this.#rate;
    throw new RateExceeded(
      `Token "${who}" may send ${perSecond} ${this.#what} per second, ${burst} at once`,
      waitMs,
    );
  }
}
