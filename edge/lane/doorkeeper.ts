/** Places, a power of two. */
const SLOTS = 8192;

/**
 * Tells what is asked for again from what is asked for once, so that only the former is kept: what is
 * kept for a moment and never used again costs more to collect than it costs to make anew.
 */
export class Doorkeeper {
  readonly #seen = new Uint32Array(SLOTS);

  /** Whether the last that came to its place was the same. @param mark of 32 bits */
  isKnown(mark: number): boolean {
    const slot = mark & (SLOTS - 1);
    const isSame = this.#seen[slot] === mark >>> 0;
    this.#seen[slot] = mark;
    return isSame;
  }
}
