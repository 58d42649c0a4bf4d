/** Buckets grow by a quarter power of two: from 1 ms to 18 hours, each at most 19 % wide. */
const PER_OCTAVE = 4;
const BUCKETS = 26 * PER_OCTAVE;
/** After so many samples all count half, so that what was long ago fades. */
const HALVED_AT = 1000;

/** Quantiles of how long something takes, in constant room. */
export class Latency {
  readonly #counts = new Float64Array(BUCKETS);
  #total = 0;

  /** Samples, old ones counted in part. */
  get total(): number {
    return this.#total;
  }

  add(ms: number): void {
    const bucket = Math.floor(Math.log2(Math.max(1, ms)) * PER_OCTAVE);
    const index = Math.min(bucket, BUCKETS - 1);
    this.#counts[index] = (this.#counts[index] ?? 0) + 1;
    if (++this.#total < HALVED_AT) return;
    this.#total /= 2;
    for (let i = 0; i < BUCKETS; i++) this.#counts[i] = (this.#counts[i] ?? 0) / 2;
  }

  /**
   * What `fraction` of the samples took at most, too high by up to 19 %.
   * @param fraction in (0, 1)
   */
  quantileMs(fraction: number): number {
    let left = this.#total * fraction;
    for (let i = 0; i < BUCKETS; i++) {
      left -= this.#counts[i] ?? 0;
      if (left <= 1e-9) return 2 ** ((i + 1) / PER_OCTAVE);
    }
    return 2 ** (BUCKETS / PER_OCTAVE);
  }
}
