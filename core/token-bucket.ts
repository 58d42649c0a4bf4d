import type { Clock } from './clock.ts';

/** A rate that is saved up while it is not used. */
export interface Rate {
  readonly perSecond: number;
  /** The most that is saved up, and so the most that may be taken at once. */
  readonly burst: number;
}

/** Lets so many through per second. */
export class TokenBucket {
  readonly #clock: Clock;
  #left: number;
  #asOfMs: number;

  /** Full at first. */
  constructor(clock: Clock, { burst }: Rate) {
    this.#clock = clock;
    this.#left = burst;
    this.#asOfMs = clock.monotonicMs();
  }

  /**
   * Takes `count` if they are there.
   * @param rate as it is now; settings change
   * @returns 0, or in how many ms they will be there; `Infinity`: never
   */
  take(count: number, { perSecond, burst }: Rate): number {
    this.#left = this.#leftBy({ perSecond, burst });
    this.#asOfMs = this.#clock.monotonicMs();
    if (this.#left >= count) {
      this.#left -= count;
      return 0;
    }
    if (count > burst || perSecond === 0) return Infinity;
    return ((count - this.#left) / perSecond) * 1000;
  }

  /** Whether `count` are there. Takes none. */
  has(count: number, rate: Rate): boolean {
    return this.#leftBy(rate) >= count;
  }

  #leftBy({ perSecond, burst }: Rate): number {
    const saved = ((this.#clock.monotonicMs() - this.#asOfMs) / 1000) * perSecond;
    return Math.min(burst, this.#left + saved);
  }
}
