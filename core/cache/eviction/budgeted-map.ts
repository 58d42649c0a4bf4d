import type { Entries, EvictionPolicy } from './policy.ts';
import { grown } from './slot-lists.ts';

const FIRST_CAPACITY = 64;

export type MakePolicy = (entries: Entries) => EvictionPolicy;

export interface BudgetedMapOptions<K, V> {
  readonly budgetBytes: number;
  /** Asked for a larger budget before anything leaves. @returns what the budget is from now on */
  readonly grow?: ((neededBytes: number) => number) | undefined;
  readonly makePolicy: MakePolicy;
  /** 32 well-spread bits of a key. */
  readonly hashOf: (key: K) => number;
  /** Told of what has left to make room for another. */
  readonly onEvicted?: (value: V) => void;
}

/** Values by key under a hard byte budget; a policy decides what leaves when it is full. */
export class BudgetedMap<K, V> {
  readonly #slots = new Map<K, number>();
  readonly #policy: EvictionPolicy;
  readonly #grow: ((neededBytes: number) => number) | undefined;
  readonly #onEvicted: ((value: V) => void) | undefined;
  readonly #hashOf: (key: K) => number;
  readonly #keys: (K | undefined)[] = [];
  readonly #values: (V | undefined)[] = [];
  readonly #free: number[] = [];
  readonly #entries = {
    budgetBytes: 0,
    capacity: FIRST_CAPACITY,
    hashes: new Int32Array(FIRST_CAPACITY),
    bytes: new Float64Array(FIRST_CAPACITY),
  };
  #bytes = 0;
  /** Ticks so far; of each slot the one of its last use. */
  #tick = 0;
  #usedAt = new Uint32Array(FIRST_CAPACITY);
  #evictions = 0;
  #evictedIdleTicks = 0;

  constructor({ budgetBytes, grow, makePolicy, hashOf, onEvicted }: BudgetedMapOptions<K, V>) {
    this.#entries.budgetBytes = budgetBytes;
    this.#grow = grow;
    this.#hashOf = hashOf;
    this.#onEvicted = onEvicted;
    this.#policy = makePolicy(this.#entries);
  }

  get size(): number {
    return this.#slots.size;
  }
  get budgetBytes(): number {
    return this.#entries.budgetBytes;
  }
  /** Of the budget, at most all of it. */
  get bytes(): number {
    return this.#bytes;
  }

  keys(): IterableIterator<K> {
    return this.#slots.keys();
  }

  /** A use of the entry. */
  get(key: K): V | undefined {
    const slot = this.#slots.get(key);
    if (slot === undefined) return undefined;
    this.#policy.touch(slot);
    this.#usedAt[slot] = this.#tick;
    return this.#values[slot];
  }

  /** Not a use. */
  peek(key: K): V | undefined {
    const slot = this.#slots.get(key);
    return slot === undefined ? undefined : this.#values[slot];
  }

  /** Whether the budget is, or grows to be, as large as that. */
  canHold(bytes: number): boolean {
    if (bytes > this.budgetBytes && this.#grow !== undefined) {
      this.#entries.budgetBytes = this.#grow(bytes);
    }
    return bytes <= this.budgetBytes;
  }

  /** Gives it another budget; what is beyond it leaves. */
  resize(budgetBytes: number): void {
    this.#entries.budgetBytes = budgetBytes;
    while (this.#bytes > budgetBytes) this.#evict(this.#policy.victim());
  }

  /** Lets go of what is to leave next, though there may be room. */
  evictNext(): void {
    if (this.size > 0) this.#evict(this.#policy.victim());
  }

  /** For how many ticks what would leave next has not been used; `undefined`: it is empty. */
  get idleTicks(): number | undefined {
    if (this.size === 0) return undefined;
    return this.#tick - (this.#usedAt[this.#policy.victim()] as number);
  }

  /**
   * Lets time pass.
   * @returns for how many ticks what left since the last one had not been used, on average;
   * `undefined`: nothing had to leave
   */
  tick(): number | undefined {
    this.#tick++;
    const idleTicks = this.#evictions === 0 ? undefined : this.#evictedIdleTicks / this.#evictions;
    this.#evictions = 0;
    this.#evictedIdleTicks = 0;
    return idleTicks;
  }

  /**
   * Puts a value in place of what is there under the key, which is not a use.
   * @param bytes at most the budget
   */
  set(key: K, value: V, bytes: number): void {
    const slot = this.#slots.get(key);
    if (slot === undefined) this.#insert(key, value, bytes);
    else this.#replace(slot, value, bytes);
  }

  delete(key: K): void {
    const slot = this.#slots.get(key);
    if (slot === undefined) return;
    this.#policy.remove(slot, false);
    this.#release(key, slot);
  }

  #insert(key: K, value: V, bytes: number): void {
    while (!this.canHold(this.#bytes + bytes)) this.#evictForRoom(this.#policy.victim());
    const slot = this.#free.pop() ?? this.#nextSlot();
    this.#slots.set(key, slot);
    this.#keys[slot] = key;
    this.#values[slot] = value;
    this.#entries.hashes[slot] = this.#hashOf(key);
    this.#entries.bytes[slot] = bytes;
    this.#usedAt[slot] = this.#tick;
    this.#bytes += bytes;
    this.#policy.insert(slot);
  }

  #replace(slot: number, value: V, bytes: number): void {
    const before = this.#entries.bytes[slot] as number;
    const moreBytes = bytes - before;
    let isIn = true;
    while (!this.canHold(this.#bytes + moreBytes)) {
      const victim = this.#policy.victim();
      if (victim === slot) {
        // It stays; the others make room for it.
        this.#policy.remove(slot, false);
        isIn = false;
      } else this.#evictForRoom(victim);
    }
    this.#values[slot] = value;
    this.#entries.bytes[slot] = bytes;
    this.#bytes += moreBytes;
    if (isIn) this.#policy.resize(slot, before);
    else this.#policy.insert(slot);
  }

  #evictForRoom(slot: number): void {
    this.#evictions++;
    this.#evictedIdleTicks += this.#tick - (this.#usedAt[slot] as number);
    this.#evict(slot);
  }

  #evict(slot: number): void {
    const key = this.#keys[slot] as K;
    const value = this.#values[slot] as V;
    this.#policy.remove(slot, true);
    this.#release(key, slot);
    this.#onEvicted?.(value);
  }

  #release(key: K, slot: number): void {
    this.#slots.delete(key);
    this.#keys[slot] = undefined;
    this.#values[slot] = undefined;
    this.#bytes -= this.#entries.bytes[slot] as number;
    this.#free.push(slot);
  }

  #nextSlot(): number {
    const slot = this.#keys.length;
    const { capacity, hashes, bytes } = this.#entries;
    if (slot === capacity) {
      this.#entries.capacity = 2 * capacity;
      this.#entries.hashes = grown(hashes, new Int32Array(2 * capacity));
      this.#entries.bytes = grown(bytes, new Float64Array(2 * capacity));
      this.#usedAt = grown(this.#usedAt, new Uint32Array(2 * capacity));
      this.#policy.grow(2 * capacity);
    }
    return slot;
  }
}
