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
    const nowMs = this.#clock.monotonicMs();
    const saved = ((nowMs - this.#asOfMs) / 1000) * perSecond;
    this.#left = Math.min(burst, this.#left + saved);
    this.#asOfMs = nowMs;
    if (this.#left >= count) {
      this.#left -= count;
      return 0;
    }
    if (count > burst || perSecond === 0) return Infinity;
    return ((count - this.#left) / perSecond) * 1000;
  }
}
