import { setImmediate } from 'node:timers/promises';
import { sliceRange } from '#core/cache/policy/slicing.ts';
import type { Manifest } from '#core/cache/object.ts';
import type { UpstreamResponse } from '#core/tree/attempt.ts';
import type { FillingSlice } from './filling-slice.ts';
import { Waiters } from './waiting.ts';

/** Slices that a run may be ahead of every reader. */
const AHEAD_SLICES = 4;
/** Slices that a reader waits for a run to come to, rather than fetch its own. */
const REACH_SLICES = 2;

/** Where a reader of the generation is. */
export interface Position {
  readonly index: number;
  readonly lastIndex: number;
}

/** What a run works on. */
export interface RunHost {
  readers(): Iterable<Position>;
  /** Whether what it brings is to be stored, and so may be ahead of its readers. */
  isKept(): boolean;
  /** A slice that comes now; `undefined` where it is there or on its way already. */
  begin(index: number): FillingSlice | undefined;
  /** Resolves when it is stored, or will not be. */
  complete(index: number, slice: FillingSlice): Promise<void>;
  fail(index: number, slice: FillingSlice): void;
}

/**
 * A whole answer that is cut into slices as it comes. It holds one slice at a time, pauses when it
 * is ahead of every reader that it serves, and is given up when it serves none.
 */
export class Run {
  readonly #manifest: Manifest;
  readonly #response: UpstreamResponse;
  readonly #host: RunHost;
  /** How far ahead of it a reader may be and still wait for it. */
  readonly #reachSlices: number;
  readonly #begun = new Waiters();
  readonly #moved = new Waiters();
  #index = 0;

  /** @param hasRanges whether readers far ahead can fetch their slices without it */
  constructor(manifest: Manifest, response: UpstreamResponse, hasRanges: boolean, host: RunHost) {
    this.#manifest = manifest;
    this.#response = response;
    this.#host = host;
    this.#reachSlices = hasRanges ? REACH_SLICES : Infinity;
  }

  /** Whether slice `index` is still to come, soon enough to wait for. */
  brings(index: number): boolean {
    return index >= this.#index && index <= this.#index + this.#reachSlices;
  }

  /** Resolves when the next slice begins, when the run has ended, or when `signal` is aborted. */
  changed(signal: AbortSignal): Promise<void> {
    return this.#begun.wait(signal);
  }

  /** A reader has moved or left. */
  readerMoved(): void {
    this.#moved.wake();
  }

  async pump(): Promise<void> {
    const source = this.#response.body[Symbol.asyncIterator]();
    const { sliced } = this.#manifest;
    const count = Math.ceil(sliced.size / sliced.sliceBytes);
    let rest: Buffer = NO_BYTES;
    let slice: FillingSlice | undefined;
    try {
      // Whoever waits for the header section becomes a reader first.
      await setImmediate();
      for (; this.#index < count; this.#index++) {
        if (!(await this.#isNeeded())) return;
        slice = this.#host.begin(this.#index);
        this.#begun.wake();
        // Where it is not stored, only those who hold it now can read it.
        if (!this.#host.isKept()) await setImmediate();
        const { start, end } = sliceRange(sliced, this.#index);
        for (let left = end - start + 1; left > 0;) {
          if (rest.length === 0) {
            const { done, value } = await source.next();
            if (done === true) throw new Error('The answer is shorter than announced');
            rest = value;
          }
          const part = rest.subarray(0, left);
          rest = rest.subarray(part.length);
          left -= part.length;
          if (part.length > 0) slice?.append(part);
        }
        if (slice !== undefined) await this.#host.complete(this.#index, slice);
        slice = undefined;
      }
      await source.next();
    } catch {
      // Its readers fetch what is missing themselves, and see there what is wrong.
      if (slice !== undefined) this.#host.fail(this.#index, slice);
    } finally {
      this.#index = Infinity;
      this.#response.discard();
      this.#begun.wake();
    }
  }

  async #isNeeded(): Promise<boolean> {
    for (;;) {
      const ahead = this.#host.isKept() ? AHEAD_SLICES : 0;
      let nearest = -Infinity;
      for (const { index, lastIndex } of this.#host.readers()) {
        const isServed = lastIndex >= this.#index && index <= this.#index + this.#reachSlices;
        if (isServed) nearest = Math.max(nearest, index);
      }
      if (nearest === -Infinity) return false;
      if (nearest >= this.#index - ahead) return true;
      await this.#moved.wait();
    }
  }
}

const NO_BYTES = Buffer.alloc(0);
