const MAX_COUNT = 15;
/** After so many counts per counter all are halved, so that what was popular once is forgotten. */
const COUNTS_PER_COUNTER = 10;
/** Counters that a key has. */
const DEPTH = 4;

/** How often a key was seen lately, about: a count-min sketch of small counters that age (TinyLFU, Einziger et al. 2017). */
export class FrequencySketch {
  #counts = new Uint8Array(0);
  #mask = 0;
  #seen = 0;

  /** @param capacity keys that it is to tell apart */
  constructor(capacity: number) {
    this.grow(capacity);
  }

  /** Forgets all, where it has to become larger. */
  grow(capacity: number): void {
    const length = 2 ** Math.ceil(Math.log2(Math.max(64, 4 * capacity)));
    if (length <= this.#counts.length) return;
    this.#counts = new Uint8Array(length);
    this.#mask = length - 1;
    this.#seen = 0;
  }

  /** @returns how often it was seen before */
  add(hash: number): number {
    const least = this.count(hash);
    if (least < MAX_COUNT) {
      for (let i = 0; i < DEPTH; i++) {
        const place = this.#place(hash, i);
        if (this.#counts[place] === least) this.#counts[place] = least + 1;
      }
    }
    if (++this.#seen >= (this.#counts.length / 4) * COUNTS_PER_COUNTER) this.#age();
    return least;
  }

  count(hash: number): number {
    let least = MAX_COUNT;
    for (let i = 0; i < DEPTH; i++) {
      least = Math.min(least, this.#counts[this.#place(hash, i)] as number);
    }
    return least;
  }

  /** Places as far apart as a second hash says (Kirsch and Mitzenmacher 2006). */
  #place(hash: number, i: number): number {
    const stride = Math.imul(hash ^ (hash >>> 15), 0x85ebca77) | 1;
    return (hash + Math.imul(i, stride)) & this.#mask;
  }

  #age(): void {
    for (let i = 0; i < this.#counts.length; i++)
      this.#counts[i] = (this.#counts[i] as number) >> 1;
    this.#seen >>= 1;
  }
}
