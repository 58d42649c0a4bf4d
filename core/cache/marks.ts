import { LRUCache } from 'lru-cache';
import type { Clock } from '#core/clock.ts';

/** Short-lived notes about keys, bounded in number: "uncacheable of late", "refresh failed just now". */
export class Marks {
  readonly #clock: Clock;
  readonly #until: LRUCache<string, number>;

  /** @param max marks held; beyond it the least recently used is forgotten */
  constructor(clock: Clock, max = 10_000) {
    this.#clock = clock;
    this.#until = new LRUCache({ max });
  }

  set(key: string, forMs: number): void {
    this.#until.set(key, this.#clock.monotonicMs() + forMs);
  }

  has(key: string): boolean {
    const until = this.#until.get(key);
    return until !== undefined && this.#clock.monotonicMs() < until;
  }

  clear(key: string): void {
    this.#until.delete(key);
  }
}
