import { clientDirectives } from '#core/cache/client-directives.ts';
import { CanopyError } from '#core/errors.ts';
import type { ByteRange } from '#core/http/ranges.ts';
import type { Lookup } from '#core/cache/engine.ts';
import type { Manifest } from '#core/cache/object.ts';
import { FileBody } from '#core/cache/disk/file-body.ts';
import type { Try } from '#core/tree/tries.ts';
import { FillingSlice } from './filling-slice.ts';
import type { Slices } from './slices.ts';

interface SliceFile {
  readonly index: number;
  readonly pieces: ReturnType<FileBody['read']>;
}

/** How the first slice of an answer was come by. */
export interface Begun {
  readonly source: 'stored' | 'joined' | 'fetched';
  /** Whom it took to fetch it. */
  readonly tries?: readonly Try[] | undefined;
}

/** Fetches of one slice without a byte of it for this reader, after which it gives up. */
const MAX_FRUITLESS_FETCHES = 4;

/**
 * The bytes of a range of a large object, slice after slice, all of one generation: from the store,
 * as they arrive, or fetched now. Between two pieces it holds nothing but its place, so that any
 * number of slow clients costs no memory. Must be read or returned.
 */
export class SliceReader implements AsyncIterableIterator<Buffer> {
  readonly manifest: Manifest;
  readonly #slices: Slices;
  readonly lookup: Lookup;
  readonly #signal: AbortSignal;
  /** No parent is to be asked, RFC 9111 §5.2.1.7. */
  readonly #onlyIfCached: boolean;
  readonly #end: number;
  readonly #onAbort = (): void => this.#leave();
  #offset: number;
  /** A slice that only its readers hold, for it is not to be stored. */
  #held: FillingSlice | undefined;
  /** The slice on disk that it reads. */
  #file: SliceFile | undefined;
  /** The slice whose file cannot be read. */
  #unreadable = -1;
  #first: Buffer | undefined;
  #readAheadOf = -1;
  #hasLeft = false;

  constructor(
    slices: Slices,
    manifest: Manifest,
    lookup: Lookup,
    { start, end }: ByteRange,
    signal: AbortSignal,
  ) {
    this.#slices = slices;
    this.manifest = manifest;
    this.lookup = lookup;
    this.#offset = start;
    this.#end = end;
    this.#signal = signal;
    this.#onlyIfCached =
      lookup.heldOnly === true || clientDirectives(lookup)?.onlyIfCached === true;
    slices.enter(this);
    if (signal.aborted) this.#leave();
    else signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  /** The slice that it reads. */
  get index(): number {
    return Math.floor(this.#offset / this.manifest.sliced.sliceBytes);
  }
  get lastIndex(): number {
    return Math.floor(this.#end / this.manifest.sliced.sliceBytes);
  }

  /**
   * Waits for the first piece, so that a failure is known before an answer has begun.
   * @throws GenerationChanged, CanopyError
   */
  async begin(): Promise<Begun> {
    if (this.#onlyIfCached) this.#assertStored();
    let source: Begun['source'] = 'stored';
    let fetched: FillingSlice | undefined;
    this.#first = await this.#next((by, slice) => {
      fetched = slice ?? fetched;
      source = fetched === undefined ? by : 'fetched';
    });
    return { source, tries: fetched?.tries };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Buffer, undefined>> {
    const value = this.#first ?? (await this.#next(() => undefined));
    this.#first = undefined;
    return value === undefined ? this.return() : { done: false, value };
  }

  return(): Promise<IteratorResult<Buffer, undefined>> {
    this.#leave();
    return Promise.resolve({ done: true, value: undefined });
  }

  /** @param note told how what is not stored comes, and of a slice that is fetched for it */
  async #next(
    note: (by: 'joined' | 'fetched', fetched?: FillingSlice) => void,
  ): Promise<Buffer | undefined> {
    try {
      for (let fetches = 0; !this.#hasLeft && this.#offset <= this.#end;) {
        const within = this.#offset % this.manifest.sliced.sliceBytes;
        const found = this.#held?.from(within) ?? this.#fromStore(within);
        // In memory it is there at once, so that what is not is known to be still under way.
        const piece = found instanceof Promise ? await found : found;
        if (this.#hasLeft) break;
        if (piece !== undefined) return this.#advance(piece);
        if (this.#held?.end instanceof Error) throw this.#held.end;
        let source = this.#slices.underWay(this.manifest, this.index);
        if (source !== undefined) note('joined');
        else {
          if (this.#onlyIfCached) throw notStored(this.index);
          if (++fetches > MAX_FRUITLESS_FETCHES) {
            throw new CanopyError('upstream-invalid', `Slice ${this.index} does not come complete`);
          }
          source = this.#slices.fetch(this.manifest, this.index, this.lookup);
          note('fetched', source);
        }
        this.#held = source instanceof FillingSlice ? source : undefined;
        // Nothing more may come for long after what has.
        if (this.#held?.from(within) === undefined) await source.changed(this.#signal);
      }
      return undefined;
    } catch (error) {
      this.#leave();
      throw error;
    }
  }

  /** What the store has of the slice from there on, at most a piece. */
  #fromStore(within: number): Buffer | Promise<Buffer | undefined> | undefined {
    const { index } = this;
    if (index === this.#unreadable) return undefined;
    if (this.#file?.index === index) return this.#read(this.#file);
    const body = this.#slices.stored(this.manifest, index);
    if (!(body instanceof FileBody)) return body?.from(within);
    const last = Math.min(body.size - 1, within + this.#end - this.#offset);
    this.#file = { index, pieces: body.read(within, last) };
    return this.#read(this.#file);
  }

  async #read({ index, pieces }: SliceFile): Promise<Buffer | undefined> {
    const piece = await pieces.next().catch(() => undefined);
    if (piece?.value !== undefined) return piece.value;
    // It is fetched again, and held until it is read.
    this.#file = undefined;
    this.#unreadable = index;
    return undefined;
  }

  #closeFile(): void {
    void this.#file?.pieces.return();
    this.#file = undefined;
  }

  #assertStored(): void {
    for (let index = this.index; index <= this.lastIndex; index++) {
      if (this.#slices.stored(this.manifest, index) === undefined) {
        this.#leave();
        throw notStored(index);
      }
    }
  }

  #advance(piece: Buffer): Buffer {
    const { index } = this;
    const wanted = piece.subarray(0, this.#end - this.#offset + 1);
    this.#offset += wanted.length;
    const isKept = this.#slices.isKept(this.manifest);
    if ((isKept && index !== this.#unreadable) || this.index !== index) this.#held = undefined;
    if (this.index !== index) {
      this.#closeFile();
      this.#slices.passed(this.manifest, index, this.lookup);
    }
    const mayReadAhead = isKept && !this.#onlyIfCached && index < this.lastIndex;
    if (mayReadAhead && this.#readAheadOf !== index) {
      this.#readAheadOf = index;
      this.#slices.readAhead(this.manifest, index + 1, this.lookup);
    }
    return wanted;
  }

  #leave(): void {
    if (this.#hasLeft) return;
    this.#hasLeft = true;
    this.#held = undefined;
    this.#closeFile();
    this.#first = undefined;
    this.#signal.removeEventListener('abort', this.#onAbort);
    this.#slices.leave(this);
  }
}

const notStored = (index: number): CanopyError =>
  new CanopyError('only-if-cached', `Slice ${index} is not stored`);
