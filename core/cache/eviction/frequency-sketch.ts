const MAX_COUNT = 15;
/** After so many counts per counter all are halved, so that what was popular once is forgotten. */
const COUNTS_PER_COUNTER = 10;
const SEEDS = [0x9e3779b1, 0x85ebca77, 0xc2b2ae3d, 0x27d4eb2f] as const;

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
      for (const seed of SEEDS) {
        const place = this.#place(hash, seed);
        if (this.#counts[place] === least) this.#counts[place] = least + 1;
      }
    }
    if (++this.#seen >= (this.#counts.length / 4) * COUNTS_PER_COUNTER) this.#age();
    return least;
  }

  count(hash: number): number {
    let least = MAX_COUNT;
    for (const seed of SEEDS) {
      least = Math.min(least, this.#counts[this.#place(hash, seed)] as number);
    }
    return least;
  }

  #place(hash: number, seed: number): number {
    const mixed = Math.imul(hash ^ (hash >>> 15), seed);
    return (mixed ^ (mixed >>> 13)) & this.#mask;
  }

  #age(): void {
    for (let i = 0; i < this.#counts.length; i++)
      this.#counts[i] = (this.#counts[i] as number) >> 1;
    this.#seen >>= 1;
  }
}
