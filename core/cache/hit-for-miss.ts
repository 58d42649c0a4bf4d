import type { Clock } from '#core/clock.ts';
import { Marks } from './marks.ts';

/** How long after an uncacheable answer every request goes to a parent by itself. */
const PASS_MS = 10_000;
/** Keys asked for less often than this are forgotten: then the first request is a fill as any other. */
const REMEMBERED_MS = 60_000;

/**
 * Keys whose answers were lately found uncacheable, so that nobody waits in vain for another's.
 * Every 10 s one request probes with a fill, while all others still pass: an answer that has become
 * cacheable is stored, and one that has not holds up nobody.
 */
export class HitForMiss {
  readonly #remembered: Marks;
  readonly #passing: Marks;

  constructor(clock: Clock) {
    this.#remembered = new Marks(clock);
    this.#passing = new Marks(clock);
  }

  /** @param selector which of the objects under the key is meant; see `keySelector` */
  set(key: string, selector: string): void {
    this.#remembered.set(key, REMEMBERED_MS, selector);
    this.#passing.set(key, PASS_MS, selector);
  }

  has(key: string, selector: string): boolean {
    return this.#remembered.has(key, selector);
  }

  /** Whether a request that would pass is the one to probe instead; the next is due 10 s later. */
  probe(key: string, selector: string): boolean {
    if (this.#passing.has(key, selector)) return false;
    this.#passing.set(key, PASS_MS, selector);
    return true;
  }

  /** Of every object under the key where `selector` is left out. */
  clear(key: string, selector?: string): void {
    this.#remembered.clear(key, selector);
    this.#passing.clear(key, selector);
  }
}
