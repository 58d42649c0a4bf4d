import { randomUUID } from 'node:crypto';
import { hash32 } from '#core/hash.ts';

/** Entries that a key may be in. */
const WAYS = 8;
/** Two words that tell keys apart, two for when the entry may go, then its columns. */
const HEADER = 4;
/** A lock is held for less than a microsecond, but for a thread that has died with it. */
const LOCK_PATIENCE_MS = 100;

/** Memory of a `SharedTable`, for all threads of a process. */
export interface TableMemory {
  /** Numbers that each entry has. */
  readonly columns: number;
  readonly sets: number;
  /** So that nobody outside can make keys that share an entry. */
  readonly seed: string;
  readonly buffer: SharedArrayBuffer;
}

/** @param entries at least so many keys can be told apart at a time */
export function tableMemory(entries: number, columns: number): TableMemory {
  const sets = Math.ceil(entries / WAYS);
  const words = sets * WAYS * strideOf(columns) + sets;
  return { columns, sets, seed: randomUUID(), buffer: new SharedArrayBuffer(4 * words) };
}

/** Even, for the time in each header lies on eight bytes. */
const strideOf = (columns: number): number => HEADER + columns + (columns % 2);

/**
 * Numbers by key that the threads of a process share, read and written at once and without a
 * message, in room that never grows: where a key finds no room, the entry goes whose end is nearest.
 * Keys are known by 64 bits of hash.
 */
export class SharedTable {
  /** From the number that `open` and `find` give: the columns of an entry. */
  readonly words: Int32Array<SharedArrayBuffer>;
  readonly #times: Float64Array<SharedArrayBuffer>;
  readonly #memory: TableMemory;
  readonly #stride: number;
  readonly #locks: number;
  #set = 0;
  #tag = 0;
  #otherTag = 0;
  /** Entries that went before their end, by this thread. */
  forgotten = 0;

  constructor(memory: TableMemory) {
    const { buffer, sets, columns } = memory;
    this.#memory = memory;
    this.#stride = strideOf(columns);
    this.#locks = sets * WAYS * this.#stride;
    this.words = new Int32Array(buffer);
    this.#times = new Float64Array(buffer, 0, this.#locks / 2);
  }

  /**
   * Locks the entry of `key`, made of zeros where there is none, until `close` is called.
   * @returns where its columns begin
   */
  open(key: string, nowMs: number): number {
    const found = this.find(key);
    if (found !== -1) return found;
    let at = this.#firstOfSet;
    for (let way = 1; way < WAYS; way++) {
      const other = this.#firstOfSet + way * this.#stride;
      if (this.#endOf(other) < this.#endOf(at)) at = other;
    }
    if (this.#endOf(at) > nowMs) this.forgotten++;
    this.words.fill(0, at, at + this.#stride);
    this.words[at] = this.#tag;
    this.words[at + 1] = this.#otherTag;
    return at + HEADER;
  }

  /** The same for a key that may have no entry: then -1; `close` is called all the same. */
  find(key: string): number {
    const { seed, sets } = this.#memory;
    this.#otherTag = hash32(key, seed) | 0;
    const hash = hash32(seed, key);
    this.#set = hash % sets;
    // A free entry has zeros.
    this.#tag = hash | 0 || 1;
    this.#lock();
    for (let way = 0; way < WAYS; way++) {
      const at = this.#firstOfSet + way * this.#stride;
      if (this.words[at] === this.#tag && this.words[at + 1] === this.#otherTag) {
        return at + HEADER;
      }
    }
    return -1;
  }

  /** From `ms` on, `Clock.monotonicMs`, an open entry is of no use any more. */
  keepUntil(at: number, ms: number): void {
    this.#times[(at - HEADER) / 2 + 1] = ms;
  }

  close(): void {
    const { words } = this;
    const lock = this.#locks + this.#set;
    if (Atomics.exchange(words, lock, FREE) === AWAITED) Atomics.notify(words, lock, 1);
  }

  /** Calls `use` for the columns of each entry there is, of which none is locked. */
  forEach(use: (at: number) => void): void {
    for (let at = 0; at < this.#locks; at += this.#stride) {
      if (this.words[at] !== 0) use(at + HEADER);
    }
  }

  get #firstOfSet(): number {
    return this.#set * WAYS * this.#stride;
  }

  #endOf(entry: number): number {
    return this.#times[entry / 2 + 1] ?? 0;
  }

  /** Drepper, "Futexes Are Tricky", 2011, mutex 2. */
  #lock(): void {
    const { words } = this;
    const lock = this.#locks + this.#set;
    if (Atomics.compareExchange(words, lock, FREE, HELD) === FREE) return;
    while (Atomics.exchange(words, lock, AWAITED) !== FREE) {
      if (Atomics.wait(words, lock, AWAITED, LOCK_PATIENCE_MS) === 'timed-out') return;
    }
  }
}

const FREE = 0;
const HELD = 1;
const AWAITED = 2;
