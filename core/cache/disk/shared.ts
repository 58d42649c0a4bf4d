import { COUNTED } from '../tally.ts';

/** The counters of one thread, in the order in which they lie in memory. */
const COUNTERS = ['lookups', ...COUNTED] as const;
export type Counter = (typeof COUNTERS)[number];

/** Rows of counters: one for the keeper, the others for the threads that serve. */
const ROWS = 128;
/**
 * Places where a key's last drop is kept, and how many are not written down. Keys that share one
 * lose a write under way, or are not found for a moment.
 */
const FENCES = 1 << 16;

const WORD = {
  generation: 0,
  ticket: 1,
  committing: 2,
  pending: 3,
  refusing: 4,
  nextFile: 5,
  indexFull: 6,
  era: 7,
};
const WORDS = 8;
const MOST_USES = 3;

/**
 * What the threads of one process know of a disk store in common, in memory that they share. It
 * begins anew with each process, for nothing that is under way outlives one.
 */
export class SharedState {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #fences: Int32Array;
  readonly #pending: Int32Array;
  readonly #counters: Float64Array;
  readonly #ghosts: Uint32Array;
  readonly #uses: Uint8Array;
  readonly #mask: number;

  /** @param from another thread's, or how many keys to remember uses of: a power of two */
  constructor(from: SharedArrayBuffer | number) {
    const fixed = ROWS * COUNTERS.length * 8 + (WORDS + 2 * FENCES) * 4;
    const buffer = typeof from === 'number' ? new SharedArrayBuffer(fixed + from * 5) : from;
    const places = (buffer.byteLength - fixed) / 5;
    this.buffer = buffer;
    this.#mask = places - 1;
    this.#counters = new Float64Array(buffer, 0, ROWS * COUNTERS.length);
    this.#words = new Int32Array(buffer, this.#counters.byteLength, WORDS);
    this.#fences = new Int32Array(buffer, end(this.#words), FENCES);
    this.#pending = new Int32Array(buffer, end(this.#fences), FENCES);
    this.#ghosts = new Uint32Array(buffer, end(this.#pending), places);
    this.#uses = new Uint8Array(buffer, end(this.#ghosts), places);
  }

  /** Changes with every change of the index. */
  get generation(): number {
    return Atomics.load(this.#words, WORD.generation);
  }
  changed(): void {
    Atomics.add(this.#words, WORD.generation, 1);
  }

  /** A write that begins now is older than every purge from now on. */
  ticket(): number {
    return Atomics.load(this.#words, WORD.ticket);
  }
  /** Writes under this key that have begun are not to be committed. */
  raiseFence(hash: number): void {
    Atomics.store(this.#fences, hash & (FENCES - 1), Atomics.add(this.#words, WORD.ticket, 1) + 1);
  }
  isFenced(hash: number, ticket: number): boolean {
    return Atomics.load(this.#fences, hash & (FENCES - 1)) > ticket;
  }

  /** Commits are being decided: what they will have stored cannot be seen yet. */
  get isCommitting(): boolean {
    return Atomics.load(this.#words, WORD.committing) !== 0;
  }
  set isCommitting(is: boolean) {
    Atomics.store(this.#words, WORD.committing, is ? 1 : 0);
  }

  /** A change was ordered that is to be written down. */
  order(): void {
    Atomics.add(this.#words, WORD.pending, 1);
  }
  written(): void {
    Atomics.sub(this.#words, WORD.pending, 1);
  }
  /** Orders, and nothing under this key is to be found until it is written down. */
  orderHidden(hash: number): void {
    this.order();
    Atomics.add(this.#pending, hash & (FENCES - 1), 1);
  }
  writtenHidden(hash: number): void {
    Atomics.sub(this.#pending, hash & (FENCES - 1), 1);
    this.written();
  }
  isHidden(hash: number): boolean {
    return Atomics.load(this.#pending, hash & (FENCES - 1)) > 0;
  }
  /** Changes that were ordered and are not written down. */
  get pending(): number {
    return Atomics.load(this.#words, WORD.pending);
  }

  /** The disk has failed lately, so that nothing is written. */
  get isRefusing(): boolean {
    return Atomics.load(this.#words, WORD.refusing) !== 0;
  }
  set isRefusing(is: boolean) {
    Atomics.store(this.#words, WORD.refusing, is ? 1 : 0);
  }

  /** The index has its share of the disk, so that small bodies go into files, too. */
  get isIndexFull(): boolean {
    return Atomics.load(this.#words, WORD.indexFull) !== 0;
  }
  set isIndexFull(is: boolean) {
    Atomics.store(this.#words, WORD.indexFull, is ? 1 : 0);
  }

  /** Which of the journals that the store has followed, from 0, it follows now. */
  get era(): number {
    return Atomics.load(this.#words, WORD.era);
  }
  set era(era: number) {
    Atomics.store(this.#words, WORD.era, era);
  }

  /** A number that no file of this process has had. */
  nextFile(): number {
    return Atomics.add(this.#words, WORD.nextFile, 1);
  }

  count(row: number, counter: Counter, by = 1): void {
    const at = row * COUNTERS.length + COUNTERS.indexOf(counter);
    this.#counters[at] = (this.#counters[at] ?? 0) + by;
  }
  /** Of all rows together. */
  total(counter: Counter): number {
    let total = 0;
    for (let at = COUNTERS.indexOf(counter); at < this.#counters.length; at += COUNTERS.length) {
      total += this.#counters[at] ?? 0;
    }
    return total;
  }

  /** Counts a use. Threads that do so at once may lose one. */
  touch(hash: number): void {
    const at = hash & this.#mask;
    const uses = this.#uses[at] ?? 0;
    if (uses < MOST_USES) this.#uses[at] = uses + 1;
  }
  /** Whether it was used since this was last asked as often as it was used: each use counts once. */
  takeUse(hash: number): boolean {
    const at = hash & this.#mask;
    const uses = this.#uses[at] ?? 0;
    if (uses === 0) return false;
    this.#uses[at] = uses - 1;
    return true;
  }

  /** Remembers for a while that it was evicted unused. */
  addGhost(hash: number): void {
    this.#ghosts[hash & this.#mask] = hash;
  }
  takeGhost(hash: number): boolean {
    const at = hash & this.#mask;
    if (this.#ghosts[at] !== hash >>> 0) return false;
    this.#ghosts[at] = 0;
    return true;
  }
}

const end = (array: Int32Array | Uint32Array | Float64Array): number =>
  array.byteOffset + array.byteLength;
