import { NONE } from './policy.ts';

/** One of the lists of `SlotLists`. */
export interface SlotList {
  head: number;
  tail: number;
  length: number;
}

export const emptyList = (): SlotList => ({ head: NONE, tail: NONE, length: 0 });

/** Doubly linked lists of slots, each slot in at most one of them. */
export class SlotLists {
  #next: Int32Array;
  #previous: Int32Array;

  constructor(capacity: number) {
    this.#next = new Int32Array(capacity).fill(NONE);
    this.#previous = new Int32Array(capacity).fill(NONE);
  }

  grow(capacity: number): void {
    this.#next = grown(this.#next, new Int32Array(capacity));
    this.#previous = grown(this.#previous, new Int32Array(capacity));
  }

  /** The neighbour towards the head. */
  before(slot: number): number {
    return this.#previous[slot] as number;
  }

  pushHead(list: SlotList, slot: number): void {
    this.#next[slot] = list.head;
    this.#previous[slot] = NONE;
    if (list.head === NONE) list.tail = slot;
    else this.#previous[list.head] = slot;
    list.head = slot;
    list.length++;
  }

  remove(list: SlotList, slot: number): void {
    const next = this.#next[slot] as number;
    const previous = this.#previous[slot] as number;
    if (previous === NONE) list.head = next;
    else this.#next[previous] = next;
    if (next === NONE) list.tail = previous;
    else this.#previous[next] = previous;
    list.length--;
  }

  toHead(list: SlotList, slot: number): void {
    if (list.head === slot) return;
    this.remove(list, slot);
    this.pushHead(list, slot);
  }
}

/** `larger` with the content of `array` in its beginning. */
export function grown<T extends Int32Array | Uint32Array | Uint8Array | Float64Array>(
  array: T,
  larger: T,
): T {
  larger.set(array);
  return larger;
}
