/** The row of all names that have none of their own. No site, node or server can be named so. */
export const OTHER = '_other';

/** Rows of numbers by name. So many names have one of their own, so that metrics stay few. */
export class Rows {
  readonly #width: number;
  readonly #limit: number;
  readonly #named = new Map<string, Float64Array>();
  readonly #other: Float64Array;

  /**
   * @param width numbers in a row
   * @param limit of rows by name
   */
  constructor(width: number, limit: number) {
    this.#width = width;
    this.#limit = limit;
    this.#other = new Float64Array(width);
  }

  /** Gives each of `names` a row of its own while there are any. A name keeps it: what is counted never moves. */
  name(names: Iterable<string>): void {
    for (const name of names) {
      if (this.#named.size >= this.#limit) return;
      if (!this.#named.has(name)) this.#named.set(name, new Float64Array(this.#width));
    }
  }

  row(name: string): Float64Array {
    return this.#named.get(name) ?? this.#other;
  }

  /** What its row is called. */
  labelOf(name: string): string {
    return this.#named.has(name) ? name : OTHER;
  }

  /** Those that have a row of their own. */
  get names(): IterableIterator<string> {
    return this.#named.keys();
  }

  *[Symbol.iterator](): IterableIterator<readonly [string, Float64Array]> {
    yield* this.#named;
    yield [OTHER, this.#other];
  }
}
