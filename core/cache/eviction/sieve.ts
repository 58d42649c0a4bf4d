import { type Entries, type EvictionPolicy, NONE } from './policy.ts';
import { emptyList, grown, SlotLists } from './slot-lists.ts';

/**
 * SIEVE (Zhang et al., NSDI 2024): a queue in order of arrival and a hand that goes from its old end
 * to its new one, takes what was not used since the hand last came by, and spares the rest once.
 */
export class Sieve implements EvictionPolicy {
  readonly #lists: SlotLists;
  readonly #queue = emptyList();
  #visited: Uint8Array;
  #hand = NONE;

  constructor({ capacity }: Entries) {
    this.#lists = new SlotLists(capacity);
    this.#visited = new Uint8Array(capacity);
  }

  insert(slot: number): void {
    this.#visited[slot] = 0;
    this.#lists.pushHead(this.#queue, slot);
  }

  touch(slot: number): void {
    this.#visited[slot] = 1;
  }

  resize(): void {
    // Size does not matter to it.
  }

  remove(slot: number): void {
    if (this.#hand === slot) this.#hand = this.#lists.before(slot);
    this.#lists.remove(this.#queue, slot);
  }

  victim(): number {
    let hand = this.#hand === NONE ? this.#queue.tail : this.#hand;
    while (hand !== NONE && this.#visited[hand] === 1) {
      this.#visited[hand] = 0;
      const newer = this.#lists.before(hand);
      hand = newer === NONE ? this.#queue.tail : newer;
    }
    this.#hand = hand;
    return hand;
  }

  grow(capacity: number): void {
    this.#lists.grow(capacity);
    this.#visited = grown(this.#visited, new Uint8Array(capacity));
  }
}
