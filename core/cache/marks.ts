import { LRUCache } from 'lru-cache';
import type { Clock } from '#core/clock.ts';

/** Short-lived notes about keys, bounded in number: "changed of late", "asked for just now". */
export class Marks {
  readonly #clock: Clock;
  readonly #untilMs: LRUCache<string, number>;

  /** @param max keys marked; beyond it the least recently used is forgotten */
  constructor(clock: Clock, max = 10_000) {
    this.#clock = clock;
    this.#untilMs = new LRUCache({ max });
  }

  set(key: string, forMs: number): void {
    this.#untilMs.set(key, this.#clock.monotonicMs() + forMs);
  }

  has(key: string): boolean {
    const untilMs = this.#untilMs.get(key);
    return untilMs !== undefined && this.#clock.monotonicMs() < untilMs;
  }
}
