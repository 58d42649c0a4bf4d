import { CanopyError } from '#core/errors.ts';
import type { Lookup } from '#core/cache/engine.ts';
import type { Fence } from '#core/cache/fence.ts';
import type { FillSource } from '#core/cache/filler.ts';
import type { Manifest } from '#core/cache/object.ts';
import { contentRange, sliceAnswer, sliceRange } from '#core/cache/policy/slicing.ts';
import { rangeRequest } from '#core/cache/range-request.ts';
import { SIBLING } from '#core/cache/siblings/messages.ts';
import type { UpstreamResponse } from '#core/tree/attempt.ts';
import type { Tree } from '#core/tree/tree.ts';
import type { FillingSlice } from './filling-slice.ts';

/** There is another version of the object than the one that was being read, or none any more. */
export class GenerationChanged extends CanopyError {
  constructor() {
    super('upstream-invalid', 'The object has changed while it was read');
  }
}

/** Continuations of one slice whose transfer broke off. */
const MAX_CONTINUATIONS = 8;

/** Whom slices are asked of. */
export interface SliceSources {
  readonly source: FillSource;
  readonly tree: Pick<Tree, 'fetch'>;
  readonly fence: Fence;
}

/**
 * Completes `slice` with the bytes of slice `index`, piece by piece as they come.
 * @param answer where one has come already
 * @returns `undefined`; or the whole, where that is sent instead and will bring the slice
 * @throws GenerationChanged; CanopyError where it cannot be had
 */
export async function fetchSlice(
  sources: SliceSources,
  manifest: Manifest,
  index: number,
  slice: FillingSlice,
  lookup: Lookup,
  answer: UpstreamResponse | undefined,
): Promise<UpstreamResponse | undefined> {
  const { source, tree, fence } = sources;
  const { start, end } = sliceRange(manifest.sliced, index);
  let next = answer;
  let failure: unknown;
  let isPastHome = false;
  for (let answers = 0; slice.size < slice.length; answers++) {
    if (answers > MAX_CONTINUATIONS) {
      throw new CanopyError('upstream-invalid', 'A slice breaks off again and again', {
        cause: failure,
      });
    }
    const asked = { start: start + slice.size, end };
    const request = rangeRequest(manifest, asked, lookup, fence.sequence);
    const response =
      next ?? (await (isPastHome ? tree.fetch(request) : source.fetch(lookup, request)));
    next = undefined;
    slice.tries.push(...(response.tries ?? []));
    const isFromHome = response.parent === SIBLING;
    const kind = sliceAnswer(manifest.sliced, manifest.facts.etag, asked, response);
    if (kind === 'whole') return response;
    if (kind !== 'part') {
      response.discard();
      if (kind === 'failed') {
        throw new CanopyError('upstream-invalid', `A slice was answered with ${response.status}`);
      }
      // The home may hold an older version than this thread does.
      if (!isFromHome) throw new GenerationChanged();
      isPastHome = true;
      continue;
    }
    try {
      await receive(response, slice);
    } catch (error) {
      response.discard();
      // A home that fails, rather than goes, has done what can be done.
      if (isFromHome && error instanceof CanopyError) throw error;
      failure = error;
    }
  }
  return undefined;
}

async function receive({ fields, body }: UpstreamResponse, slice: FillingSlice): Promise<void> {
  const range = contentRange(fields);
  let left = range === undefined ? 0 : range.end - range.start + 1;
  for await (const chunk of body) {
    left -= chunk.length;
    if (left < 0) throw new Error('More came than was announced');
    if (chunk.length > 0) slice.append(chunk);
  }
}
