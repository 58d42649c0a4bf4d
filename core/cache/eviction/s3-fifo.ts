import { Ghosts } from './ghosts.ts';
import type { Entries, EvictionPolicy } from './policy.ts';
import { emptyList, grown, type SlotList, SlotLists } from './slot-lists.ts';

/** The small queue's share of the budget. */
const SMALL_FRACTION = 0.1;
const MAX_USES = 3;

/**
 * S3-FIFO (Yang et al., SOSP 2023), its queues counted in bytes: what is new goes through a small
 * queue, and on to the main one only if it was used there or had left not long ago.
 */
export class S3Fifo implements EvictionPolicy {
  readonly #entries: Entries;
  readonly #lists: SlotLists;
  readonly #small = emptyList();
  readonly #main = emptyList();
  readonly #ghosts: Ghosts;
  #smallBytes = 0;
  #uses: Uint8Array;
  #inMain: Uint8Array;

  constructor(entries: Entries) {
    const { capacity } = entries;
    this.#entries = entries;
    this.#lists = new SlotLists(capacity);
    this.#ghosts = new Ghosts(capacity);
    this.#uses = new Uint8Array(capacity);
    this.#inMain = new Uint8Array(capacity);
  }

  insert(slot: number): void {
    this.#uses[slot] = 0;
    const isBack = this.#ghosts.take(this.#entries.hashes[slot] as number, this.#main.length);
    this.#inMain[slot] = isBack ? 1 : 0;
    if (!isBack) this.#smallBytes += this.#entries.bytes[slot] as number;
    this.#lists.pushHead(isBack ? this.#main : this.#small, slot);
  }

  touch(slot: number): void {
    const uses = this.#uses[slot] as number;
    if (uses < MAX_USES) this.#uses[slot] = uses + 1;
  }

  resize(slot: number, before: number): void {
    if (this.#inMain[slot] === 0) {
      this.#smallBytes += (this.#entries.bytes[slot] as number) - before;
    }
  }

  remove(slot: number, evicted: boolean): void {
    this.#lists.remove(this.#listOf(slot), slot);
    if (this.#inMain[slot] === 1) return;
    this.#smallBytes -= this.#entries.bytes[slot] as number;
    if (evicted) this.#ghosts.add(this.#entries.hashes[slot] as number);
  }

  victim(): number {
    for (;;) {
      const isSmallFull = this.#smallBytes > this.#entries.budgetBytes * SMALL_FRACTION;
      if (this.#main.length === 0 || isSmallFull) {
        const slot = this.#small.tail;
        if (slot < 0 || (this.#uses[slot] as number) <= 1) return slot;
        this.#promote(slot);
      } else {
        const slot = this.#main.tail;
        const uses = this.#uses[slot] as number;
        if (uses === 0) return slot;
        this.#uses[slot] = uses - 1;
        this.#lists.toHead(this.#main, slot);
      }
    }
  }

  grow(capacity: number): void {
    this.#lists.grow(capacity);
    this.#ghosts.grow(capacity);
    this.#uses = grown(this.#uses, new Uint8Array(capacity));
    this.#inMain = grown(this.#inMain, new Uint8Array(capacity));
  }

  #promote(slot: number): void {
    this.#lists.remove(this.#small, slot);
    this.#smallBytes -= this.#entries.bytes[slot] as number;
    this.#uses[slot] = 0;
    this.#inMain[slot] = 1;
    this.#lists.pushHead(this.#main, slot);
  }

  #listOf(slot: number): SlotList {
    return this.#inMain[slot] === 1 ? this.#main : this.#small;
  }
}
