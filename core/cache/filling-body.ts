/** Bytes that a body which is not kept may be ahead of its slowest reader. */
const WINDOW_BYTES = 1024 * 1024;

/**
 * A body on its way from a parent, read by any number of clients as it arrives.
 * While it is *kept*, readers start at its first byte and nobody holds it up; once it is not
 * (`letGo`), what all readers have passed is dropped and the slowest reader sets the pace.
 */
export class FillingBody {
  readonly #chunks: Buffer[] = [];
  readonly #readers = new Set<Reader>();
  readonly #onAbandoned: () => void;
  /** Index of the first chunk still held. */
  #dropped = 0;
  #size = 0;
  #kept: boolean;
  #outcome: 'open' | 'complete' | Error = 'open';
  #roomWanted: (() => void) | undefined;
  #abandoned = false;

  /** @param onAbandoned called when the last reader of a body that is not kept has gone */
  constructor(kept: boolean, onAbandoned: () => void) {
    this.#kept = kept;
    this.#onAbandoned = onAbandoned;
  }

  /** Bytes that have come. */
  get size(): number {
    return this.#size;
  }
  get kept(): boolean {
    return this.#kept;
  }
  /** Whether a new reader can have every byte. */
  get joinable(): boolean {
    return this.#dropped === 0 && !(this.#outcome instanceof Error);
  }
  /** All chunks of a kept, complete body. */
  get chunks(): readonly Buffer[] {
    return this.#chunks;
  }

  append(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
    this.#wakeReaders();
  }

  complete(): void {
    this.#outcome = 'complete';
    this.#wakeReaders();
  }

  /** Readers get what has come, then the error. */
  fail(error: Error): void {
    this.#outcome = error;
    this.#wakeReaders();
    this.#roomWanted?.();
  }

  /** Stops keeping the body: it has turned out too large to store, or purged. */
  letGo(): void {
    if (!this.#kept) return;
    this.#kept = false;
    this.#dropPassed();
    this.#abandonIfUnread();
  }

  /** Resolves when the parent may be read on. */
  room(): Promise<void> | undefined {
    if (this.#kept || this.#abandoned || this.#aheadBytes() < WINDOW_BYTES) return undefined;
    return new Promise((resolve) => {
      this.#roomWanted = () => {
        this.#roomWanted = undefined;
        resolve();
      };
    });
  }

  /** All bytes from the first, as they arrive. Must be read or returned. */
  read(): AsyncIterableIterator<Buffer> {
    if (!this.joinable) throw new Error('The first bytes of this body are gone');
    const reader = new Reader(
      (index) => this.#at(index),
      () => this.#dropPassed(),
      () => this.#leave(reader),
    );
    this.#readers.add(reader);
    return reader;
  }

  #at(index: number): Buffer | 'wait' | 'end' | Error {
    const chunk = this.#chunks[index];
    if (chunk !== undefined) return chunk;
    if (this.#outcome === 'open') return 'wait';
    return this.#outcome === 'complete' ? 'end' : this.#outcome;
  }

  #leave(reader: Reader): void {
    if (!this.#readers.delete(reader)) return;
    this.#dropPassed();
    this.#abandonIfUnread();
  }

  #abandonIfUnread(): void {
    if (this.#readers.size > 0 || this.#kept || this.#outcome !== 'open') return;
    this.#abandoned = true;
    this.#onAbandoned();
    this.#roomWanted?.();
  }

  #slowest(): number {
    let slowest = this.#chunks.length;
    for (const reader of this.#readers) slowest = Math.min(slowest, reader.index);
    return this.#readers.size === 0 ? this.#dropped : slowest;
  }

  #aheadBytes(): number {
    let bytes = 0;
    for (let i = this.#slowest(); i < this.#chunks.length; i++)
      bytes += this.#chunks[i]?.length ?? 0;
    return bytes;
  }

  #dropPassed(): void {
    if (this.#kept) return;
    const slowest = this.#slowest();
    for (; this.#dropped < slowest; this.#dropped++) this.#chunks[this.#dropped] = NO_BYTES;
    if (this.#roomWanted !== undefined && this.#aheadBytes() < WINDOW_BYTES) this.#roomWanted();
  }

  #wakeReaders(): void {
    for (const reader of this.#readers) reader.wake();
  }
}

const NO_BYTES = Buffer.alloc(0);

class Reader implements AsyncIterableIterator<Buffer> {
  /** The chunk that it reads next. */
  index = 0;
  readonly #at: (index: number) => Buffer | 'wait' | 'end' | Error;
  readonly #onPassed: () => void;
  readonly #onLeft: () => void;
  #left = false;
  #wake: (() => void) | undefined;

  constructor(
    at: (index: number) => Buffer | 'wait' | 'end' | Error,
    onPassed: () => void,
    onLeft: () => void,
  ) {
    this.#at = at;
    this.#onPassed = onPassed;
    this.#onLeft = onLeft;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  wake(): void {
    this.#wake?.();
  }

  async next(): Promise<IteratorResult<Buffer, undefined>> {
    while (!this.#left) {
      const found = this.#at(this.index);
      if (found === 'end') break;
      if (found instanceof Error) {
        this.#leave();
        throw found;
      }
      if (found !== 'wait') {
        this.index++;
        this.#onPassed();
        return { done: false, value: found };
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.return();
  }

  return(): Promise<IteratorResult<Buffer, undefined>> {
    this.#leave();
    return Promise.resolve({ done: true, value: undefined });
  }

  #leave(): void {
    this.#left = true;
    this.#onLeft();
    this.wake();
  }
}
