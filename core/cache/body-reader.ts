/** What a reader finds at its place: bytes, perhaps on their way from disk, or why there are none. */
export type FoundAt = Buffer | Promise<Buffer> | 'wait' | 'end' | Error;

/** The body that a reader reads. */
export interface ReaderSource {
  at(reader: BodyReader): FoundAt;
  passed(reader: BodyReader): void;
  left(reader: BodyReader): void;
}

/** One client's place in a body that is on its way. */
export class BodyReader implements AsyncIterableIterator<Buffer> {
  /** The chunk that it reads next, where it reads from memory. */
  index = 0;
  /** Bytes of that chunk that it has read already. */
  skipBytes = 0;
  /** Bytes it has read. */
  offset = 0;
  /** It has fallen behind, and reads from disk. */
  spilled = false;
  readonly #source: ReaderSource;
  #cutBy: Error | undefined;
  #left = false;
  #wake: (() => void) | undefined;

  constructor(source: ReaderSource) {
    this.#source = source;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  wake(): void {
    this.#wake?.();
  }

  /** Ends it with an error. */
  cut(error: Error): void {
    this.#cutBy = error;
    this.wake();
  }

  async next(): Promise<IteratorResult<Buffer, undefined>> {
    while (!this.#left) {
      const found = this.#cutBy ?? this.#source.at(this);
      if (found === 'end') break;
      if (found === 'wait') {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        continue;
      }
      try {
        if (found instanceof Error) throw found;
        const value = found instanceof Promise ? await found : found;
        if (this.#cutBy !== undefined) throw this.#cutBy;
        if (!(found instanceof Promise)) this.#pass();
        this.offset += value.length;
        this.#source.passed(this);
        return { done: false, value };
      } catch (error) {
        this.#leave();
        throw error;
      }
    }
    return this.return();
  }

  return(): Promise<IteratorResult<Buffer, undefined>> {
    this.#leave();
    return Promise.resolve({ done: true, value: undefined });
  }

  #pass(): void {
    this.index++;
    this.skipBytes = 0;
  }

  #leave(): void {
    this.#left = true;
    this.#source.left(this);
    this.wake();
  }
}
