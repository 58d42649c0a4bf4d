import type { Answer } from '#core/cache/answer.ts';
import type { Lookup } from '#core/cache/engine.ts';
import type { Manifest } from '#core/cache/object.ts';
import { currentAgeMs } from '#core/cache/policy/decide.ts';
import {
  firstRange,
  isMultipart,
  newBoundary,
  readParts,
  returning,
} from '#core/cache/multipart-content.ts';
import type { ByteRange } from '#core/http/ranges.ts';
import { select } from '#core/http/selection.ts';
import { type Begun, SliceReader } from './reader.ts';
import type { Slices } from './slices.ts';

/**
 * The answer that a large object makes, begun only once its first bytes are there.
 * @param signal aborted when the client has left
 * @throws GenerationChanged where the origin has another version by now; CanopyError
 */
export async function answerFromSlices(
  slices: Slices,
  manifest: Manifest,
  lookup: Lookup,
  signal: AbortSignal,
  now: number,
): Promise<Pick<Answer, 'status' | 'fields' | 'content'> & Begun> {
  const { method, fields: requestFields } = lookup.request;
  const { size } = manifest.sliced;
  const whole = { status: manifest.facts.status, fields: manifest.fields, size };
  const { status, fields, part } = select(method, requestFields, whole, newBoundary);
  const age = Math.floor(currentAgeMs(manifest, now) / 1000);
  const answer = { status, fields: [...fields, 'Age', String(age)] };
  if (part === 'none') return { ...answer, content: [], source: 'stored' };
  const several = isMultipart(part) ? part : undefined;
  let reader: SliceReader;
  const read = (range: ByteRange): SliceReader => {
    reader = new SliceReader(slices, manifest, lookup, range, signal);
    return reader;
  };
  const begun = read(firstRange(part, size));
  const how = await begun.begin();
  const content = several && returning(readParts(several, begun, read), () => reader);
  return { ...answer, content: content ?? begun, ...how };
}
