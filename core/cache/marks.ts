import { LRUCache } from 'lru-cache';
import type { Clock } from '#core/clock.ts';

/** Objects of one key that are marked each for itself; beyond it the oldest mark is forgotten. */
const MAX_SELECTORS = 64;

/** Short-lived notes about keys, bounded in number: "uncacheable of late", "refresh failed just now". */
export class Marks {
  readonly #clock: Clock;
  /** Until when, by key, then by selector. */
  readonly #until: LRUCache<string, Map<string, number>>;

  /** @param max keys marked; beyond it the least recently used is forgotten */
  constructor(clock: Clock, max = 10_000) {
    this.#clock = clock;
    this.#until = new LRUCache({ max });
  }

  /** @param selector which of the objects under the key is meant; see `keySelector` */
  set(key: string, forMs: number, selector = ''): void {
    const marks = this.#until.get(key) ?? new Map<string, number>();
    marks.delete(selector);
    const [oldest] = marks.keys();
    if (oldest !== undefined && marks.size >= MAX_SELECTORS) marks.delete(oldest);
    marks.set(selector, this.#clock.monotonicMs() + forMs);
    this.#until.set(key, marks);
  }

  has(key: string, selector = ''): boolean {
    const until = this.#until.get(key)?.get(selector);
    return until !== undefined && this.#clock.monotonicMs() < until;
  }

  /** Forgets the mark of one object under a key, or every one where `selector` is left out. */
  clear(key: string, selector?: string): void {
    if (selector === undefined) this.#until.delete(key);
    else this.#until.get(key)?.delete(selector);
  }
}
