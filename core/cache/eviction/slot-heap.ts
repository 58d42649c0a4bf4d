import { NONE } from './policy.ts';
import { grown } from './slot-lists.ts';

/** Children of a node: four lie in one cache line of slots, and make the heap half as deep as two. */
const ARITY = 4;

/** A min-heap of slots, each under a rank of its own. */
export class SlotHeap {
  #slots: Int32Array;
  /** Place of each slot in the heap. */
  #places: Int32Array;
  #ranks: Float64Array;
  #length = 0;

  constructor(capacity: number) {
    this.#slots = new Int32Array(capacity);
    this.#places = new Int32Array(capacity);
    this.#ranks = new Float64Array(capacity);
  }

  grow(capacity: number): void {
    this.#slots = grown(this.#slots, new Int32Array(capacity));
    this.#places = grown(this.#places, new Int32Array(capacity));
    this.#ranks = grown(this.#ranks, new Float64Array(capacity));
  }

  /** The slot of the lowest rank. */
  get top(): number {
    return this.#length === 0 ? NONE : (this.#slots[0] as number);
  }

  rank(slot: number): number {
    return this.#ranks[slot] as number;
  }

  push(slot: number, rank: number): void {
    this.#ranks[slot] = rank;
    this.#up(this.#length++, slot);
  }

  remove(slot: number): void {
    const place = this.#places[slot] as number;
    const last = this.#slots[--this.#length] as number;
    if (last === slot) return;
    this.#places[last] = place;
    this.#slots[place] = last;
    this.#settle(last);
  }

  update(slot: number, rank: number): void {
    this.#ranks[slot] = rank;
    this.#settle(slot);
  }

  #settle(slot: number): void {
    const place = this.#places[slot] as number;
    const parent = Math.floor((place - 1) / ARITY);
    const rank = this.#ranks[slot] as number;
    if (place > 0 && rank < this.rank(this.#slots[parent] as number)) this.#up(place, slot);
    else this.#down(place, slot);
  }

  #up(from: number, slot: number): void {
    const rank = this.#ranks[slot] as number;
    let place = from;
    while (place > 0) {
      const parent = (place - 1) >> 2;
      const above = this.#slots[parent] as number;
      if (this.rank(above) <= rank) break;
      this.#put(place, above);
      place = parent;
    }
    this.#put(place, slot);
  }

  #down(from: number, slot: number): void {
    const rank = this.#ranks[slot] as number;
    let place = from;
    for (;;) {
      const first = place * ARITY + 1;
      const end = Math.min(first + ARITY, this.#length);
      let lowest = NONE;
      let lowestRank = rank;
      for (let child = first; child < end; child++) {
        const childRank = this.rank(this.#slots[child] as number);
        if (childRank < lowestRank) {
          lowest = child;
          lowestRank = childRank;
        }
      }
      if (lowest === NONE) break;
      this.#put(place, this.#slots[lowest] as number);
      place = lowest;
    }
    this.#put(place, slot);
  }

  #put(place: number, slot: number): void {
    this.#slots[place] = slot;
    this.#places[slot] = place;
  }
}
