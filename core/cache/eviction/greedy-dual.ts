import { FrequencySketch } from './frequency-sketch.ts';
import { type Entries, type EvictionPolicy, NONE } from './policy.ts';
import { SlotHeap } from './slot-heap.ts';
import { grown } from './slot-lists.ts';

/** Added to every size, so that the tiniest objects are not worth everything. */
const BASE_BYTES = 1024;

/** Uses beyond these count for nothing, so that what was once in great demand is forgotten in time. */
const MAX_USES = 32;

/** How much a use counts. Plain values: a function called for each use would allocate its result. */
export interface Temper {
  /** What having come counts, against a use. */
  readonly newcomerUses: number;
  /** What each use before it last left counts for one that comes back. */
  readonly rememberedFraction: number;
  /** What uses add up to: the square favours what is used often, the root what was used just now. */
  readonly sum: 'square' | 'plain' | 'root';
  /** Whether what an entry is worth is divided by what it takes. */
  readonly perByte: boolean;
}

export const GDSF: Temper = {
  newcomerUses: 1,
  rememberedFraction: 0,
  sum: 'plain',
  perByte: true,
};

/** LFU with dynamic ageing. */
export const LFU: Temper = { ...GDSF, perByte: false };

export const BALANCED: Temper = { ...GDSF, newcomerUses: 0.5, rememberedFraction: 0.5 };

/** Where popularity lasts. */
export const FREQUENT: Temper = { ...BALANCED, newcomerUses: 0.2, sum: 'square' };

/** Where popularity drifts. */
export const RECENT: Temper = { ...BALANCED, newcomerUses: 1, sum: 'root' };

/**
 * Greedy-Dual (Cherkasova 1998): an entry ranks by the age at its last use plus its worth, and the
 * age is the rank of what left last, so that what is no longer used sinks to the bottom in time.
 */
export class GreedyDual implements EvictionPolicy {
  /** May change at any time: it counts for an entry from its next use on. */
  temper: Temper;
  readonly #entries: Entries;
  /** Ranks when they were last put in order: uses only raise a rank, so these are lower bounds. */
  readonly #heap: SlotHeap;
  readonly #history: FrequencySketch | undefined;
  #uses: Float64Array;
  #ranks: Float64Array;
  #age = 0;

  constructor(entries: Entries, temper: Temper) {
    const { capacity } = entries;
    this.temper = temper;
    this.#entries = entries;
    this.#heap = new SlotHeap(capacity);
    if (temper.rememberedFraction > 0) this.#history = new FrequencySketch(capacity);
    this.#uses = new Float64Array(capacity);
    this.#ranks = new Float64Array(capacity);
  }

  insert(slot: number): void {
    const { newcomerUses, rememberedFraction } = this.temper;
    const before = this.#history?.add(this.#entries.hashes[slot] as number) ?? 0;
    this.#uses[slot] = Math.min(MAX_USES, newcomerUses + rememberedFraction * before);
    this.#rank(slot);
    this.#heap.push(slot, this.#ranks[slot] as number);
  }

  touch(slot: number): void {
    this.#history?.add(this.#entries.hashes[slot] as number);
    this.#uses[slot] = Math.min(MAX_USES, (this.#uses[slot] as number) + 1);
    this.#rank(slot);
  }

  resize(slot: number, before: number): void {
    const uses = this.#uses[slot] as number;
    const bytes = this.#entries.bytes[slot] as number;
    const difference = worth(this.temper, uses, bytes) - worth(this.temper, uses, before);
    const rank = (this.#ranks[slot] as number) + difference;
    this.#ranks[slot] = rank;
    this.#heap.update(slot, rank);
  }

  remove(slot: number): void {
    this.#heap.remove(slot);
  }

  victim(): number {
    for (;;) {
      const slot = this.#heap.top;
      if (slot === NONE) return NONE;
      const rank = this.#ranks[slot] as number;
      if (rank === this.#heap.rank(slot)) {
        this.#age = Math.max(this.#age, rank);
        return slot;
      }
      this.#heap.update(slot, rank);
    }
  }

  grow(capacity: number): void {
    this.#heap.grow(capacity);
    this.#history?.grow(capacity);
    this.#uses = grown(this.#uses, new Float64Array(capacity));
    this.#ranks = grown(this.#ranks, new Float64Array(capacity));
  }

  #rank(slot: number): void {
    const uses = this.#uses[slot] as number;
    this.#ranks[slot] = this.#age + worth(this.temper, uses, this.#entries.bytes[slot] as number);
  }
}

function worth({ sum, perByte }: Temper, uses: number, bytes: number): number {
  const weight = sum === 'plain' ? uses : sum === 'square' ? uses * uses : Math.sqrt(uses);
  return perByte ? weight / (bytes + BASE_BYTES) : weight;
}
