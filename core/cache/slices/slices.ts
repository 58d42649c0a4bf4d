import { CanopyError } from '#core/errors.ts';
import type { Body } from '#core/cache/body.ts';
import type { Lookup } from '#core/cache/engine.ts';
import { everybodysFields } from '#core/cache/everybodys-fields.ts';
import type { Fence } from '#core/cache/fence.ts';
import type { Manifest } from '#core/cache/object.ts';
import { contentRange, sliceAnswer, sliceRange } from '#core/cache/policy/slicing.ts';
import type { ObjectStore } from '#core/cache/store.ts';
import type { UpstreamResponse } from '#core/tree/attempt.ts';
import type { Tree } from '#core/tree/tree.ts';
import { FillingSlice } from './filling-slice.ts';
import type { SliceReader } from './reader.ts';
import { Run } from './run.ts';
import { Allowance } from './waiting.ts';

/** There is another version of the object than the one that was being read, or none any more. */
export class GenerationChanged extends CanopyError {
  constructor() {
    super('upstream-invalid', 'The object has changed while it was read');
  }
}

/** Bytes of slices that are on their way at once, not yet in the store; further fetches wait. */
const IN_FLIGHT_BYTES = 64 * 1024 * 1024;
/** Continuations of one slice whose transfer broke off. */
const MAX_CONTINUATIONS = 8;

export interface SlicesOptions {
  readonly store: ObjectStore;
  readonly tree: Tree;
  readonly fence: Fence;
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
  /** The smallest slice that the store was too small for. */
  #refusedBytes = Infinity;
  readonly #inFlight = new Allowance(IN_FLIGHT_BYTES);

  constructor(options: SlicesOptions) {
    this.#options = options;
  }

  /** Whether requests that come now are answered from this generation. Counts as a use of it. */
  isCurrent({ key, sliced }: Manifest): boolean {
    const variants = this.#options.store.lookup(key);
    return variants.some((object) => object.sliced?.generation === sliced.generation);
  }

  /** Whether a slice that is complete can be found again, so that nobody has to hold it. */
  isKept(manifest: Manifest): boolean {
    return manifest.sliced.sliceBytes < this.#refusedBytes && this.isCurrent(manifest);
  }

  stored(manifest: Manifest, index: number): Body | undefined {
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
    if (this.#inFlight.has(manifest.sliced.sliceBytes)) this.fetch(manifest, index, lookup);
  }

  /** Cuts a whole answer into slices as it comes, as far as somebody reads them. */
  cut(manifest: Manifest, answer: UpstreamResponse, hasRanges: boolean): void {
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
      complete: (index, slice) => {
        forget(index);
        this.#keep(manifest, index, slice);
      },
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
    this.moved(reader.manifest);
  }

  leave(reader: SliceReader): void {
    const { generation } = reader.manifest.sliced;
    this.#generations.get(generation)?.readers.delete(reader);
    this.moved(reader.manifest);
    this.#tidy(generation);
  }

  /** A reader has moved to another slice. */
  moved({ sliced }: Manifest): void {
    for (const run of this.#generations.get(sliced.generation)?.runs ?? []) run.readerMoved();
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
    const waits = !this.#inFlight.has(slice.length);
    await this.#inFlight.take(slice.length);
    const key = sliceKey(manifest, index);
    try {
      // In the meantime all who wanted it may have left.
      if (waits && !slice.isAwaited) {
        answer?.discard();
        slice.finish('elsewhere');
        return;
      }
      const isComplete = await this.#receive(manifest, index, slice, lookup, answer);
      this.#filling.delete(key);
      if (isComplete) this.#keep(manifest, index, slice);
      else slice.finish('elsewhere');
    } catch (error) {
      this.#filling.delete(key);
      slice.finish(error instanceof Error ? error : new Error(String(error)));
    } finally {
      if (this.#filling.get(key) === slice) this.#filling.delete(key);
      this.#inFlight.give(slice.length);
    }
  }

  /** @returns false where the parent sends the whole instead, which will bring the slice */
  async #receive(
    manifest: Manifest,
    index: number,
    slice: FillingSlice,
    lookup: Lookup,
    answer: UpstreamResponse | undefined,
  ): Promise<boolean> {
    const { start, end } = sliceRange(manifest.sliced, index);
    let next = answer;
    let failure: unknown;
    for (let answers = 0; slice.size < slice.length; answers++) {
      if (answers > MAX_CONTINUATIONS) {
        throw new CanopyError('upstream-invalid', 'A slice breaks off again and again', {
          cause: failure,
        });
      }
      const asked = { start: start + slice.size, end };
      const response = next ?? (await this.#ask(manifest, asked.start, end, lookup));
      next = undefined;
      const kind = sliceAnswer(manifest.sliced, manifest.facts.etag, asked, response);
      if (kind === 'whole') {
        this.cut(manifest, response, false);
        return false;
      }
      if (kind !== 'part') {
        response.discard();
        if (kind === 'changed') {
          this.#drop(manifest);
          throw new GenerationChanged();
        }
        throw new CanopyError('upstream-invalid', `A slice was answered with ${response.status}`);
      }
      let left = announcedBytes(response);
      try {
        for await (const chunk of response.body) {
          left -= chunk.length;
          if (left < 0) throw new Error('More came than was announced');
          if (chunk.length > 0) slice.append(chunk);
        }
      } catch (error) {
        response.discard();
        failure = error;
      }
    }
    return true;
  }

  #ask(manifest: Manifest, start: number, end: number, lookup: Lookup): Promise<UpstreamResponse> {
    const { tree, fence } = this.#options;
    return tree.fetch({
      site: lookup.site,
      key: manifest.key,
      method: 'GET',
      target: lookup.request.target,
      fields: [
        ...everybodysFields(lookup.upstreamFields()),
        'Range',
        `bytes=${start}-${end}`,
        'If-Range',
        manifest.facts.etag ?? '',
      ],
      host: lookup.request.host,
      content: undefined,
      fence: Math.max(fence.sequence, lookup.askingFence),
      changed: lookup.changed,
      signal: undefined,
    });
  }

  #keep(manifest: Manifest, index: number, slice: FillingSlice): void {
    const isStored =
      this.isKept(manifest) &&
      this.#options.store.put({
        ...manifest,
        key: sliceKey(manifest, index),
        selector: '',
        fields: [],
        body: slice.body(),
        sliced: undefined,
      });
    if (!isStored && this.isKept(manifest)) this.#refusedBytes = manifest.sliced.sliceBytes;
    slice.finish(isStored ? 'stored' : 'unstored');
  }

  /** Later requests start with the new version; who reads the old one finishes with what is stored of it. */
  #drop(manifest: Manifest): void {
    if (this.isCurrent(manifest)) this.#options.store.delete(manifest.key);
  }
}

function announcedBytes({ fields }: UpstreamResponse): number {
  const range = contentRange(fields);
  return range === undefined ? 0 : range.end - range.start + 1;
}

/** No request target holds a line break, so no client can name it. */
const sliceKey = ({ key, sliced }: Manifest, index: number): string =>
  `${key}\n${sliced.generation} ${index}`;
