import { LRUCache } from 'lru-cache';
import type { Clock } from '#core/clock.ts';
import type { StoredObject } from './object.ts';

interface Failing {
  readonly failures: number;
  readonly untilMs: number;
}

const FIRST_MS = 2_000;
const LONGEST_MS = 60_000;
/** Objects that failed together are not tried again together. */
const JITTER = 0.25;
const MAX_KEYS = 10_000;
/** Of one key; beyond it the one that failed longest ago is forgotten. */
const MAX_VARIANTS = 64;

type Variant = Pick<StoredObject, 'key' | 'selector'>;

/** How long each variant that could not be refreshed is left alone: 2 s, doubling up to 60 s. */
export class Backoffs {
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #failing = new LRUCache<string, Map<string, Failing>>({ max: MAX_KEYS });

  /** @param random in [0, 1) */
  constructor(clock: Clock, random: () => number = Math.random) {
    this.#clock = clock;
    this.#random = random;
  }

  /** Notes a failure; several at the same time count as one. */
  fail(variant: Variant): void {
    if (this.has(variant)) return;
    const { key, selector } = variant;
    const ofKey = this.#failing.get(key) ?? new Map<string, Failing>();
    const failures = ofKey.get(selector)?.failures ?? 0;
    const backoffMs = Math.min(FIRST_MS * 2 ** failures * this.#jitter(), LONGEST_MS);
    const untilMs = this.#clock.monotonicMs() + backoffMs;
    ofKey.delete(selector);
    const [first] = ofKey.keys();
    if (first !== undefined && ofKey.size >= MAX_VARIANTS) ofKey.delete(first);
    ofKey.set(selector, { failures: failures + 1, untilMs });
    this.#failing.set(key, ofKey);
  }

  /** Whether the variant's next refresh is not due yet. */
  has({ key, selector }: Variant): boolean {
    const failing = this.#failing.get(key)?.get(selector);
    return failing !== undefined && this.#clock.monotonicMs() < failing.untilMs;
  }

  clear({ key, selector }: Variant): void {
    this.#failing.get(key)?.delete(selector);
  }

  #jitter(): number {
    return 1 + this.#random() * JITTER;
  }
}
