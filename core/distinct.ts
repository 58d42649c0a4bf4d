const HASHES = 2 ** 32;

/**
 * How many different things were noted, in bounded room: only the smallest hashes are kept, and how
 * dense they lie tells the number (Bar-Yossef et al., "Counting distinct elements in a data stream",
 * 2002). Exact below `size`, else off by about 1/√size. What several have noted can be put together.
 */
export class Distinct {
  readonly #size: number;
  readonly #hashes = new Set<number>();
  /** Larger hashes are not kept. */
  #limit = HASHES;

  /** @param size hashes that count */
  constructor(size: number) {
    this.#size = size;
  }

  /** @param hash 32 well-spread bits */
  note(hash: number): void {
    if (hash >= this.#limit) return;
    this.#hashes.add(hash);
    if (this.#hashes.size < 2 * this.#size) return;
    const kept = this.hashes;
    this.#limit = kept.at(-1) ?? 0;
    this.#hashes.clear();
    for (const one of kept) this.#hashes.add(one);
  }

  noteAll(hashes: readonly number[]): void {
    for (const hash of hashes) this.note(hash);
  }

  /** The smallest, in their order. */
  get hashes(): readonly number[] {
    return [...this.#hashes].toSorted((a, b) => a - b).slice(0, this.#size);
  }

  get count(): number {
    const { hashes } = this;
    const last = hashes.at(-1);
    if (last === undefined || hashes.length < this.#size) return hashes.length;
    return ((this.#size - 1) / (last + 1)) * HASHES;
  }
}
