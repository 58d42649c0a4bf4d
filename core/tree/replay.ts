/** Content of a request that may be sent again as long as it is no larger. */
const MOST_BYTES = 64 * 1024;

/**
 * A request's content, read from the client once and sent to several parents one after the other,
 * as far as it is small enough to be kept.
 */
export class Replay {
  readonly #source: AsyncIterator<Buffer>;
  readonly #chunks: Buffer[] = [];
  #bytes = 0;
  /** Chunks that are no longer kept. */
  #dropped = 0;
  #ended = false;
  #pulling: Promise<void> | undefined;
  #readers = 0;
  #isLast = false;

  constructor(content: AsyncIterable<Buffer>) {
    this.#source = content[Symbol.asyncIterator]();
  }

  /** Whether `read` would give all of it. */
  get isWhole(): boolean {
    return this.#dropped === 0;
  }

  /** From its first byte. Only the last that was begun may be read on. */
  async *read(): AsyncGenerator<Buffer, void, undefined> {
    this.#readers++;
    try {
      for (let next = 0; ; next++) {
        while (next >= this.#dropped + this.#chunks.length) {
          if (this.#ended) return;
          await this.#pull();
        }
        const chunk = this.#chunks[next - this.#dropped];
        if (chunk === undefined) throw new Error('The content is no longer whole');
        if (this.#bytes > MOST_BYTES) {
          this.#dropped += this.#chunks.splice(0, next - this.#dropped + 1).length;
        }
        yield chunk;
      }
    } finally {
      this.#readers--;
      this.#letGo();
    }
  }

  /** No other parent will be sent it: the source is let go once the reading has ended. */
  last(): void {
    this.#isLast = true;
    this.#letGo();
  }

  #letGo(): void {
    if (!this.#isLast || this.#readers > 0 || this.#ended) return;
    this.#ended = true;
    // Not awaited: a pull that is under way comes first.
    this.#source.return?.().catch(() => undefined);
  }

  /** A reader that is given up may leave a pull behind: what it brings is for the next one. */
  #pull(): Promise<void> {
    this.#pulling ??= this.#source
      .next()
      .then(({ done, value }) => {
        if (done === true) this.#ended = true;
        else {
          this.#chunks.push(value);
          this.#bytes += value.length;
        }
      })
      .finally(() => {
        this.#pulling = undefined;
      });
    return this.#pulling;
  }
}
