import { Body } from '#core/cache/body.ts';
import type { Try } from '#core/tree/tries.ts';
import { Waiters } from './waiting.ts';

/**
 * What became of a slice on its way.
 * - `stored`: it is in the store
 * - `unstored`: it is complete, but its manifest was purged or replaced meanwhile, or no room was found
 * - `elsewhere`: it will come another way, or has to be asked for anew
 */
export type SliceEnd = 'stored' | 'unstored' | 'elsewhere' | Error;

/** Average bytes of a chunk below which bookkeeping would outweigh content. */
const SMALL_CHUNK_BYTES = 16 * 1024;
const PIECE_BYTES = 64 * 1024;

/** One slice on its way from a parent, read as it arrives. */
export class FillingSlice {
  /** Bytes that it has once it is complete. */
  readonly length: number;
  /** The parents asked for it, in order. */
  readonly tries: Try[] = [];
  readonly #chunks: Buffer[] = [];
  readonly #waiters = new Waiters();
  #size = 0;
  #end: SliceEnd | undefined;

  constructor(length: number) {
    this.length = length;
  }

  /** Bytes that have come. */
  get size(): number {
    return this.#size;
  }
  get end(): SliceEnd | undefined {
    return this.#end;
  }
  /** Whether somebody waits for it now. */
  get isAwaited(): boolean {
    return this.#waiters.size > 0;
  }

  append(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
    this.#waiters.wake();
  }

  finish(end: SliceEnd): void {
    this.#end = end;
    this.#waiters.wake();
  }

  /** What has come from `offset` on, at most a chunk; `undefined`: nothing yet. */
  from(offset: number): Buffer | undefined {
    let passed = 0;
    for (const chunk of this.#chunks) {
      if (offset < passed + chunk.length) return chunk.subarray(offset - passed);
      passed += chunk.length;
    }
    return undefined;
  }

  /**
   * The complete slice in pieces that do not keep larger buffers alive: a client that is slow to
   * take one piece holds no more than that.
   */
  body(): Body {
    if (this.#size / this.#chunks.length >= SMALL_CHUNK_BYTES) return new Body(this.#chunks);
    const whole = Buffer.concat(this.#chunks, this.#size);
    const pieces: Buffer[] = [];
    for (let at = 0; at < whole.length; at += PIECE_BYTES) {
      pieces.push(Buffer.from(whole.subarray(at, at + PIECE_BYTES)));
    }
    return new Body(pieces);
  }

  /** Resolves when more has come, when it has ended, or when `signal` is aborted. */
  changed(signal: AbortSignal): Promise<void> {
    return this.#waiters.wait(signal);
  }
}
