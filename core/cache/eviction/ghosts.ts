/** Hashes of entries that have left lately: bounded, and forgetful where two share a place. */
export class Ghosts {
  #hashes: Int32Array;
  /** The count of departures at each one's own, from 1. */
  #times: Float64Array;
  #mask: number;
  #departed = 0;

  constructor(capacity: number) {
    this.#hashes = new Int32Array(0);
    this.#times = new Float64Array(0);
    this.#mask = 0;
    this.grow(capacity);
  }

  /** Makes room for about as many as the cache has slots; a power of two. Forgets all. */
  grow(capacity: number): void {
    const places = 2 ** Math.ceil(Math.log2(Math.max(16, 2 * capacity)));
    this.#hashes = new Int32Array(places);
    this.#times = new Float64Array(places);
    this.#mask = places - 1;
  }

  add(hash: number): void {
    const place = hash & this.#mask;
    this.#hashes[place] = hash;
    this.#times[place] = ++this.#departed;
  }

  /** Whether it is one of the last `count` to leave. Forgets it. */
  take(hash: number, count: number): boolean {
    const place = hash & this.#mask;
    const time = this.#times[place] as number;
    if (time === 0 || this.#hashes[place] !== hash) return false;
    this.#times[place] = 0;
    return this.#departed - time < count;
  }
}
