import { close, closeSync, read as readFile } from 'node:fs';
import { promisify } from 'node:util';
import { BLOCK_BYTES, fileBytes, readBlocks, STRIDE_BYTES } from './blocks.ts';
import type { Files } from './files.ts';
import { codeOf } from './health.ts';

/** What a read from disk asks for at once. */
const READ_BLOCKS = 4;
/** Content of as many blocks as one read asks for. */
export const READ_BYTES = READ_BLOCKS * BLOCK_BYTES;

/**
 * Size of a file that is closed at once: a trip through the thread pool costs more than that. To close
 * the last descriptor of a large file that has been removed means to free all of its blocks.
 */
const SMALL_BYTES = 1024 * 1024;

const readFrom = promisify(readFile);
const closeLater = promisify(close);

/** Content is not there any more, not as it was written, or cannot be read now. It is to be fetched again. */
export class BodyLost extends Error {
  override readonly name = 'BodyLost';
}

/** Told of what went wrong while a body was read. */
export interface ReadTrouble {
  /** It is not as it was written, and is of no more use. */
  damaged(): void;
  /** The disk has failed. @param code of the system's error */
  failed(code: string | undefined): void;
}

/** A complete body in a file, read only when it is asked for. */
export class FileBody {
  readonly file: number;
  /** Bytes. */
  readonly size: number;
  readonly #files: Files;
  readonly #trouble: ReadTrouble;

  constructor(file: number, size: number, files: Files, trouble: ReadTrouble) {
    this.file = file;
    this.size = size;
    this.#files = files;
    this.#trouble = trouble;
  }

  /**
   * The bytes from `start` to `end`, both inclusive. Each is handed out only after its block was
   * found as it was written; the file is opened with the first piece, and what is removed later is
   * read to its end.
   * @throws BodyLost
   */
  async *read(start = 0, end = this.size - 1): AsyncGenerator<Buffer, void, undefined> {
    const descriptor = await this.#open();
    try {
      const last = Math.floor(end / BLOCK_BYTES);
      for (let first = Math.floor(start / BLOCK_BYTES); first <= last; first += READ_BLOCKS) {
        const count = Math.min(READ_BLOCKS, last - first + 1);
        const blocks = await this.#blocks(descriptor, first, count);
        yield* blocks.map((block, i) => within(block, first + i, start, end));
      }
    } finally {
      await closeLater(descriptor);
    }
  }

  /**
   * The same bytes at once, for as few as `READ_BYTES` or less: most of what it costs to read in
   * pieces is not the reading.
   * @throws BodyLost
   */
  async readHeld(start: number, end: number): Promise<readonly Buffer[]> {
    const descriptor = await this.#open();
    try {
      const first = Math.floor(start / BLOCK_BYTES);
      const count = Math.floor(end / BLOCK_BYTES) - first + 1;
      const blocks = await this.#blocks(descriptor, first, count);
      return blocks.map((block, i) => within(block, first + i, start, end));
    } finally {
      if (this.size <= SMALL_BYTES) closeSync(descriptor);
      else await closeLater(descriptor);
    }
  }

  async #open(): Promise<number> {
    try {
      return await this.#files.open(this.file);
    } catch (error) {
      // Evicted since it was looked up, or lost: whoever keeps the index finds out which.
      if (codeOf(error) === 'ENOENT') this.#damaged('is gone');
      this.#trouble.failed(codeOf(error));
      throw new BodyLost(`File ${this.file} cannot be opened`, { cause: error });
    }
  }

  async #blocks(descriptor: number, first: number, count: number): Promise<Buffer[]> {
    const content = readBlocks(await this.#readAt(descriptor, first, count), this.file, first);
    return content ?? this.#damaged('has a wrong checksum');
  }

  async #readAt(descriptor: number, first: number, count: number): Promise<Buffer> {
    const from = first * STRIDE_BYTES;
    const length = Math.min(count * STRIDE_BYTES, fileBytes(this.size) - from);
    const buffer = Buffer.allocUnsafeSlow(length);
    let done = 0;
    while (done < length) {
      const { bytesRead } = await this.#ask(() =>
        this.#files.latencies.timed('read', () =>
          readFrom(descriptor, buffer, done, length - done, from + done),
        ),
      );
      if (bytesRead === 0) this.#damaged('is too short');
      done += bytesRead;
    }
    return buffer;
  }

  async #ask<T>(read: () => Promise<T>): Promise<T> {
    try {
      return await read();
    } catch (error) {
      this.#trouble.failed(codeOf(error));
      // A place that cannot be read will hardly be readable later.
      if (codeOf(error) === 'EIO') this.#damaged('cannot be read');
      throw new BodyLost(`File ${this.file} cannot be read`, { cause: error });
    }
  }

  #damaged(how: string): never {
    this.#trouble.damaged();
    throw new BodyLost(`File ${this.file} ${how}`);
  }
}

/** What of a block lies within a range of the body. */
function within(block: Buffer, index: number, start: number, end: number): Buffer {
  const offset = index * BLOCK_BYTES;
  return block.subarray(Math.max(start - offset, 0), end + 1 - offset);
}
