import type { Clock } from '#core/clock.ts';
import type { Lookup } from '#core/cache/engine.ts';
import { Marks } from '#core/cache/marks.ts';
import type { Manifest, StoredBody } from '#core/cache/object.ts';
import { keptAs } from '#core/cache/policy/keeping.ts';
import { sliceRange } from '#core/cache/policy/slicing.ts';
import type { Store } from '#core/cache/store.ts';
import type { UpstreamResponse } from '#core/tree/attempt.ts';
import { fetchSlice, GenerationChanged, type SliceSources } from './fetch.ts';
import { FillingSlice } from './filling-slice.ts';
import type { SliceReader } from './reader.ts';
import { Run } from './run.ts';
import { Allowance } from './waiting.ts';

/** Bytes of slices that are on their way at once from parents, not yet in the store; further fetches wait. */
const FROM_PARENTS_BYTES = 64 * 1024 * 1024;
/** The same from other threads. Of its own, or two threads could wait for each other's. */
const FROM_SIBLINGS_BYTES = 32 * 1024 * 1024;
/** A slice of another thread that is asked for again so soon is kept here, too. */
const AGAIN_MS = 60_000;

export interface SlicesOptions extends SliceSources {
  readonly clock: Clock;
  readonly store: Store;
}

/** All that is read and fetched of one generation. */
interface Generation {
  readonly readers: Set<SliceReader>;
  readonly runs: Set<Run>;
}

/** The slices of large objects: what is stored of them, and what is on its way. */
export class Slices {
  readonly #options: SlicesOptions;
  readonly #filling = new Map<string, FillingSlice>();
  readonly #generations = new Map<string, Generation>();
  /** The smallest slice that the store was too small for, or too busy, and until when it is not asked again. */
  #refusedBytes = Infinity;
  #refusedUntilMs = 0;
  readonly #fromParents = new Allowance(FROM_PARENTS_BYTES);
  readonly #fromSiblings = new Allowance(FROM_SIBLINGS_BYTES);
  /** Slices of other threads that were read here lately. */
  readonly #passedOn: Marks;

  constructor(options: SlicesOptions) {
    this.#options = options;
    this.#passedOn = new Marks(options.clock);
  }

  /** Whether requests that come now are answered from this generation. Counts as a use of it. */
  isCurrent({ key, sliced }: Manifest): boolean {
    const variants = this.#options.store.lookup(key);
    return variants.some((object) => object.sliced?.generation === sliced.generation);
  }

  /** Whether a slice that is complete can be found again, so that nobody has to hold it. */
  isKept(manifest: Manifest): boolean {
    const isRefused =
      manifest.sliced.sliceBytes >= this.#refusedBytes &&
      this.#options.clock.monotonicMs() < this.#refusedUntilMs;
    return !isRefused && this.isCurrent(manifest);
  }

  stored(manifest: Manifest, index: number): StoredBody | undefined {
    return this.#options.store.lookup(sliceKey(manifest, index))[0]?.body;
  }

  /** What brings a slice that is not stored. */
  underWay(manifest: Manifest, index: number): FillingSlice | Run | undefined {
    const filling = this.#filling.get(sliceKey(manifest, index));
    if (filling !== undefined) return filling;
    const runs = this.#generations.get(manifest.sliced.generation)?.runs;
    return runs === undefined ? undefined : [...runs].find((run) => run.brings(index));
  }

  /** Fetches one slice. @param answer where a parent has sent it already */
  fetch(
    manifest: Manifest,
    index: number,
    lookup: Lookup,
    answer?: UpstreamResponse,
  ): FillingSlice {
    const { start, end } = sliceRange(manifest.sliced, index);
    const slice = new FillingSlice(end - start + 1);
    this.#filling.set(sliceKey(manifest, index), slice);
    void this.#fill(manifest, index, slice, lookup, answer);
    return slice;
  }

  /** Fetches a slice that will be wanted soon, unless others have to wait for theirs. */
  readAhead(manifest: Manifest, index: number, lookup: Lookup): void {
    if (this.stored(manifest, index) !== undefined) return;
    if (this.underWay(manifest, index) !== undefined) return;
    if (this.#allowance(lookup).has(manifest.sliced.sliceBytes))
      this.fetch(manifest, index, lookup);
  }

  /** Cuts a whole answer into slices as it comes, as far as somebody reads them. */
  cut(manifest: Manifest, answer: UpstreamResponse, hasRanges: boolean, lookup: Lookup): void {
    const { generation } = manifest.sliced;
    const { readers, runs } = this.#generation(generation);
    const forget = (index: number): void => void this.#filling.delete(sliceKey(manifest, index));
    const run = new Run(manifest, answer, hasRanges, {
      readers: () => readers,
      isKept: () => this.isKept(manifest),
      begin: (index) => {
        const key = sliceKey(manifest, index);
        if (this.#filling.has(key) || this.stored(manifest, index) !== undefined) return undefined;
        const { start, end } = sliceRange(manifest.sliced, index);
        const slice = new FillingSlice(end - start + 1);
        this.#filling.set(key, slice);
        return slice;
      },
      complete: (index, slice) => this.#keep(manifest, index, slice, lookup),
      fail: (index, slice) => {
        forget(index);
        slice.finish('elsewhere');
      },
    });
    runs.add(run);
    void run.pump().finally(() => {
      runs.delete(run);
      this.#tidy(generation);
    });
  }

  enter(reader: SliceReader): void {
    this.#generation(reader.manifest.sliced.generation).readers.add(reader);
    this.#moved(reader.manifest);
  }

  leave(reader: SliceReader): void {
    const { generation } = reader.manifest.sliced;
    this.#generations.get(generation)?.readers.delete(reader);
    this.passed(reader.manifest, reader.index, reader.lookup);
    this.#tidy(generation);
  }

  /**
   * A reader is done with a slice. One of another thread's stays in the store only while it is read
   * here, unless it is asked for again: memory holds it once, and what is hot where it is wanted.
   */
  passed(manifest: Manifest, index: number, lookup: Lookup): void {
    this.#moved(manifest);
    const { source, store } = this.#options;
    if (source.isHome(lookup)) return;
    const readers = this.#generations.get(manifest.sliced.generation)?.readers ?? [];
    for (const other of readers) if (other.index === index) return;
    const key = sliceKey(manifest, index);
    const isAskedAgain = this.#passedOn.has(key);
    this.#passedOn.set(key, AGAIN_MS);
    if (!isAskedAgain) store.release(key);
  }

  #moved({ sliced }: Manifest): void {
    for (const run of this.#generations.get(sliced.generation)?.runs ?? []) run.readerMoved();
  }

  #allowance(lookup: Lookup): Allowance {
    return this.#options.source.isHome(lookup) ? this.#fromParents : this.#fromSiblings;
  }

  #generation(generation: string): Generation {
    let found = this.#generations.get(generation);
    if (found === undefined) {
      found = { readers: new Set(), runs: new Set() };
      this.#generations.set(generation, found);
    }
    return found;
  }

  #tidy(generation: string): void {
    const found = this.#generations.get(generation);
    if (found?.readers.size === 0 && found.runs.size === 0) this.#generations.delete(generation);
  }

  async #fill(
    manifest: Manifest,
    index: number,
    slice: FillingSlice,
    lookup: Lookup,
    answer: UpstreamResponse | undefined,
  ): Promise<void> {
    const allowance = this.#allowance(lookup);
    const waits = !allowance.has(slice.length);
    await allowance.take(slice.length);
    const key = sliceKey(manifest, index);
    try {
      // In the meantime all who wanted it may have left.
      if (waits && !slice.isAwaited) {
        answer?.discard();
        slice.finish('elsewhere');
        return;
      }
      const whole = await fetchSlice(this.#options, manifest, index, slice, lookup, answer);
      if (whole === undefined) await this.#keep(manifest, index, slice, lookup);
      else {
        this.#filling.delete(key);
        this.cut(manifest, whole, false, lookup);
        slice.finish('elsewhere');
      }
    } catch (error) {
      if (error instanceof GenerationChanged) this.#drop(manifest);
      this.#filling.delete(key);
      slice.finish(error instanceof Error ? error : new Error(String(error)));
    } finally {
      if (this.#filling.get(key) === slice) this.#filling.delete(key);
      allowance.give(slice.length);
    }
  }

  /** Stores a slice that is complete. Until that is done, it is found where it has been so far. */
  async #keep(
    manifest: Manifest,
    index: number,
    slice: FillingSlice,
    lookup: Lookup,
  ): Promise<void> {
    const { store, source, clock } = this.#options;
    const key = sliceKey(manifest, index);
    const settings = lookup.site.cacheFor(lookup.request.target, manifest.facts);
    const object = { ...manifest, key, selector: '', fields: [], sliced: undefined };
    const stored =
      this.isKept(manifest) &&
      store.put(
        { ...object, body: slice.body() },
        { ...keptAs(manifest, settings), memoryOnly: !source.isHome(lookup) },
      );
    const isStored = typeof stored === 'boolean' ? stored : await stored;
    if (!isStored && this.isKept(manifest)) {
      this.#refusedBytes = manifest.sliced.sliceBytes;
      this.#refusedUntilMs = clock.monotonicMs() + AGAIN_MS;
    }
    if (this.#filling.get(key) === slice) this.#filling.delete(key);
    slice.finish(isStored ? 'stored' : 'unstored');
  }

  /** Later requests start with the new version; who reads the old one finishes with what is stored of it. */
  #drop(manifest: Manifest): void {
    if (this.isCurrent(manifest)) this.#options.store.drop(manifest);
  }
}

/** No request target holds a line break, so no client can name it. */
const sliceKey = ({ key, sliced }: Manifest, index: number): string =>
  `${key}\n${sliced.generation} ${index}`;
