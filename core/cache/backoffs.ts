import { LRUCache } from 'lru-cache';
import type { Clock } from '#core/clock.ts';

interface Failing {
  readonly failures: number;
  readonly untilMs: number;
}

const FIRST_MS = 2_000;
const LONGEST_MS = 60_000;
/** Objects that failed together are not tried again together. */
const JITTER = 0.25;
const MAX_KEYS = 10_000;

/** How long each object that could not be refreshed is left alone: 2 s, doubling up to 60 s. */
export class Backoffs {
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #failing = new LRUCache<string, Failing>({ max: MAX_KEYS });

  /** @param random in [0, 1) */
  constructor(clock: Clock, random: () => number = Math.random) {
    this.#clock = clock;
    this.#random = random;
  }

  /** Notes a failure; several at the same time count as one. */
  fail(key: string): void {
    if (this.has(key)) return;
    const failures = this.#failing.get(key)?.failures ?? 0;
    const backoffMs = Math.min(FIRST_MS * 2 ** failures * this.#jitter(), LONGEST_MS);
    const untilMs = this.#clock.monotonicMs() + backoffMs;
    this.#failing.set(key, { failures: failures + 1, untilMs });
  }

  /** Whether the object's next refresh is not due yet. */
  has(key: string): boolean {
    const failing = this.#failing.get(key);
    return failing !== undefined && this.#clock.monotonicMs() < failing.untilMs;
  }

  clear(key: string): void {
    this.#failing.delete(key);
  }

  #jitter(): number {
    return 1 + this.#random() * JITTER;
  }
}
