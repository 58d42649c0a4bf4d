import type { CacheSettings } from '#core/contract/cache-settings.ts';
import { type Fields, fieldValue, hasField, withoutFields } from '#core/http/fields.ts';
import { contentLength, parseBytes } from '#core/http/length.ts';
import type { ByteRange } from '#core/http/ranges.ts';
import type { ResponseFacts } from './response.ts';

/** How a large object is cut. */
export interface Cut {
  /** Bytes of the whole object. */
  readonly size: number;
  /** Bytes of every slice but the last. */
  readonly sliceBytes: number;
}

/**
 * Whether an object is kept in slices. They are fetched one by one, so only a strong validator
 * can tell that they are all of one version (RFC 9110 §13.1.5).
 * @param size bytes of the whole object, where known
 */
export function isSliceable(
  { status, etag }: ResponseFacts,
  size: number | undefined,
  { sliceAboveBytes }: CacheSettings,
): size is number {
  return (
    status === 200 && etag?.startsWith('"') === true && size !== undefined && size > sliceAboveBytes
  );
}

/** The bytes of one slice, counted from the start of the object. */
export function sliceRange({ size, sliceBytes }: Cut, index: number): ByteRange {
  return { start: index * sliceBytes, end: Math.min((index + 1) * sliceBytes, size) - 1 };
}

/** What is asked of a parent for an object that nothing is known of. */
export interface Probe {
  /** Value of `Range`. */
  readonly range: string;
  /** The slice that it asks for; `undefined`: it asks how large the object is. */
  readonly index: number | undefined;
  /** It is just what the client asks for. */
  readonly isOwn: boolean;
}

const FROM = /^bytes=(\d+)-\d*$/i;
const SUFFIX = /^bytes=-(\d+)$/i;

/**
 * For a first request that starts far inside what may be a large object: what to ask for, so that
 * nobody waits for all that comes before. A suffix is asked for as it is where it is short: of a
 * small object it may be all that is ever wanted, or all there is. `undefined`: ask for the whole.
 * @param maxPartBytes how long a suffix may be to be short
 */
export function probeFor(
  method: string,
  requestFields: Fields,
  { sliceBytes, sliceAboveBytes }: CacheSettings,
  maxPartBytes: number,
): Probe | undefined {
  const range = method === 'GET' ? fieldValue(requestFields, 'range') : undefined;
  if (range === undefined) return undefined;
  const suffix = SUFFIX.exec(range)?.[1];
  if (suffix !== undefined) {
    const isOwn = Number(suffix) <= maxPartBytes && !hasField(requestFields, 'if-range');
    return { range: isOwn ? range : 'bytes=-1', index: undefined, isOwn };
  }
  const from = Number(FROM.exec(range)?.[1] ?? 0);
  if (!Number.isSafeInteger(from) || from < sliceAboveBytes) return undefined;
  const index = Math.floor(from / sliceBytes);
  const [start, end] = [index * sliceBytes, (index + 1) * sliceBytes - 1];
  return { range: `bytes=${start}-${end}`, index, isOwn: false };
}

/** A `Content-Range` of RFC 9110 §14.4 whose complete length is known. */
export interface ContentRange extends ByteRange {
  /** Bytes of the whole. */
  readonly size: number;
}

const CONTENT_RANGE = /^bytes (\d+)-(\d+)\/(\d+)$/i;

export function contentRange(fields: Fields): ContentRange | undefined {
  const [, first, last, length] =
    CONTENT_RANGE.exec(fieldValue(fields, 'content-range') ?? '') ?? [];
  const start = parseBytes(first);
  const end = parseBytes(last);
  const size = parseBytes(length);
  if (start === undefined || end === undefined || size === undefined) return undefined;
  return start <= end && end < size ? { start, end, size } : undefined;
}

/** The fields of the whole 200 answer that a 206 is a part of, RFC 9110 §15.3.7. */
export function fieldsOfWhole(fields: Fields, size: number): string[] {
  const whole = withoutFields(
    fields,
    (name) => name === 'content-range' || name === 'content-length',
  );
  return [...whole, 'Content-Length', String(size)];
}

/**
 * What a parent's answer to the request for a slice is.
 * - `part`: bytes of the same version, from where they were asked for
 * - `whole`: the same version from its start, for the parent knows no ranges (RFC 9110 §14.2)
 * - `failed`: the parent's failure, which tells nothing of the object
 * - `changed`: there is another version, or none any more
 */
export function sliceAnswer(
  cut: Cut,
  etag: string | undefined,
  asked: ByteRange,
  answer: { readonly status: number; readonly fields: Fields },
): 'part' | 'whole' | 'failed' | 'changed' {
  const { status, fields } = answer;
  if (status >= 500 || status === 429) return 'failed';
  if (fieldValue(fields, 'etag') !== etag) return 'changed';
  if (status === 200) {
    return contentLength(fields) === cut.size ? 'whole' : 'changed';
  }
  if (status !== 206) return 'changed';
  const range = contentRange(fields);
  if (range?.size !== cut.size) return 'changed';
  return range.start === asked.start && range.end <= asked.end ? 'part' : 'failed';
}
