import type { Entries, EvictionPolicy } from './policy.ts';
import { emptyList, SlotLists } from './slot-lists.ts';

/** First in, first out: use counts for nothing. */
export class Fifo implements EvictionPolicy {
  protected readonly lists: SlotLists;
  protected readonly list = emptyList();

  constructor({ capacity }: Entries) {
    this.lists = new SlotLists(capacity);
  }

  insert(slot: number): void {
    this.lists.pushHead(this.list, slot);
  }
  touch(_slot: number): void {
    // Order of arrival is all there is.
  }
  resize(): void {
    // Nor does size matter.
  }
  remove(slot: number): void {
    this.lists.remove(this.list, slot);
  }
  victim(): number {
    return this.list.tail;
  }
  grow(capacity: number): void {
    this.lists.grow(capacity);
  }
}

/** Least recently used out first. */
export class Lru extends Fifo {
  override touch(slot: number): void {
    this.lists.toHead(this.list, slot);
  }
}
