import { BudgetedMap } from './budgeted-map.ts';
import { BALANCED, FREQUENT, GreedyDual, RECENT, type Temper } from './greedy-dual.ts';
import type { Entries, EvictionPolicy } from './policy.ts';

/** One key in 16 is sampled, by the topmost bits of its hash. */
const SAMPLE_BITS = 4;
/** Sampled uses that wait for the next miss; beyond them further ones are left out. */
const MAX_WAITING = 64;
/** Sampled uses between two judgements. */
const JUDGED_EVERY = 1000;
/** What came before a judgement counts this much less at the next. */
const FADING = 0.75;
/** By how much of the sampled uses another must be better before it is preferred. */
const MARGIN = 0.004;

interface Trial {
  readonly temper: Temper;
  readonly shadow: BudgetedMap<number, true>;
  hits: number;
}

/**
 * GDSF in the temper that suits the traffic: each is tried all the time on a sample of the keys
 * with its share of the budget, without content, and the best of late rules the whole cache.
 */
export class Adaptive implements EvictionPolicy {
  readonly #entries: Entries;
  readonly #live: GreedyDual;
  readonly #trials: readonly Trial[];
  readonly #waitingHashes = new Int32Array(MAX_WAITING);
  readonly #waitingBytes = new Float64Array(MAX_WAITING);
  #waiting = 0;
  #sampled = 0;
  #weight = 0;

  constructor(entries: Entries) {
    this.#entries = entries;
    this.#live = new GreedyDual(entries, BALANCED);
    this.#trials = [BALANCED, FREQUENT, RECENT].map((temper) => ({
      temper,
      shadow: new BudgetedMap<number, true>({
        budgetBytes: entries.budgetBytes / 2 ** SAMPLE_BITS,
        makePolicy: (shadowed) => new GreedyDual(shadowed, temper),
        hashOf: (hash) => hash,
      }),
      hits: 0,
    }));
  }

  insert(slot: number): void {
    this.#live.insert(slot);
    this.#sample(slot);
    this.#tryOut();
  }

  touch(slot: number): void {
    this.#live.touch(slot);
    this.#sample(slot);
  }

  resize(slot: number, before: number): void {
    this.#live.resize(slot, before);
  }

  remove(slot: number): void {
    this.#live.remove(slot);
  }

  victim(): number {
    return this.#live.victim();
  }

  grow(capacity: number): void {
    this.#live.grow(capacity);
  }

  /** Only notes the use: trying it out allocates, which a hit must not. */
  #sample(slot: number): void {
    const hash = this.#entries.hashes[slot] as number;
    if (hash >>> (32 - SAMPLE_BITS) !== 0 || this.#waiting === MAX_WAITING) return;
    this.#waitingHashes[this.#waiting] = hash;
    this.#waitingBytes[this.#waiting] = this.#entries.bytes[slot] as number;
    this.#waiting++;
  }

  #tryOut(): void {
    const budgetBytes = this.#entries.budgetBytes / 2 ** SAMPLE_BITS;
    for (const { shadow } of this.#trials) shadow.resize(budgetBytes);
    for (let i = 0; i < this.#waiting; i++) {
      const hash = this.#waitingHashes[i] as number;
      const bytes = this.#waitingBytes[i] as number;
      for (const trial of this.#trials) {
        if (trial.shadow.get(hash) !== undefined) trial.hits++;
        else if (bytes <= trial.shadow.budgetBytes) trial.shadow.set(hash, true, bytes);
      }
      if (++this.#sampled % JUDGED_EVERY === 0) this.#judge();
    }
    this.#waiting = 0;
  }

  #judge(): void {
    this.#weight += JUDGED_EVERY;
    const hitsOf = (temper: Temper): number =>
      this.#trials.find((trial) => trial.temper === temper)?.hits ?? 0;
    const best = this.#trials.reduce((a, b) => (b.hits > a.hits ? b : a), this.#trials[0] as Trial);
    if (best.hits - hitsOf(this.#live.temper) > MARGIN * this.#weight) {
      this.#live.temper = best.temper;
    }
    for (const trial of this.#trials) trial.hits *= FADING;
    this.#weight *= FADING;
  }
}
