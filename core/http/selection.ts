import { evaluatePreconditions, ifRangeHolds } from './conditionals.ts';
import { type Fields, fieldValue, hasField, withoutFields } from './fields.ts';
import { type Multipart, multipart } from './multipart.ts';
import { type ByteRange, parseRange } from './ranges.ts';

/** A response that could be sent whole. */
export interface Whole {
  readonly status: number;
  readonly fields: Fields;
  /** Bytes of content, where known. */
  readonly size: number | undefined;
}

/** What of it answers a request. */
export interface Selection<Several = Multipart> {
  readonly status: number;
  readonly fields: Fields;
  /** The bytes to send: all, none, a range, or several. */
  readonly part: 'all' | 'none' | ByteRange | Several;
}

/**
 * The answer that a request makes of a representation: itself, 304, 412, 206 or 416, after
 * RFC 9110 §13.2.2 and §14.2.
 * @param newBoundary see `multipart`; without it, several ranges at once are answered whole, as
 * §14.2 allows
 */
export function select(method: string, requestFields: Fields, answered: Whole): Selection<never>;
export function select(
  method: string,
  requestFields: Fields,
  answered: Whole,
  newBoundary: () => string,
): Selection;
export function select(
  method: string,
  requestFields: Fields,
  answered: Whole,
  newBoundary?: () => string,
): Selection {
  const part = method === 'HEAD' ? 'none' : 'all';
  if (answered.status !== 200) return { ...answered, part };
  const whole = withAcceptRanges(answered);
  const request = (name: string): string | undefined => fieldValue(requestFields, name);
  const validators = {
    etag: fieldValue(whole.fields, 'etag'),
    lastModified: fieldValue(whole.fields, 'last-modified'),
    date: fieldValue(whole.fields, 'date'),
  };
  const verdict = evaluatePreconditions(
    {
      method,
      ifMatch: request('if-match'),
      ifNoneMatch: request('if-none-match'),
      ifModifiedSince: request('if-modified-since'),
      ifUnmodifiedSince: request('if-unmodified-since'),
    },
    validators,
  );
  if (verdict === 'not-modified') return notModified(whole);
  if (verdict === 'precondition-failed') {
    return { status: 412, fields: refusalFields(whole.fields), part: 'none' };
  }
  const range = request('range');
  if (method !== 'GET' || range === undefined || whole.size === undefined)
    return { ...whole, part };
  if (!ifRangeHolds(request('if-range'), validators)) return { ...whole, part };
  return selectRange(range, whole, whole.size, newBoundary);
}

/** Whatever the origin can do, we can send parts of what has a known size (RFC 9110 §14.3). */
function withAcceptRanges(whole: Whole): Whole {
  if (whole.size === undefined || hasField(whole.fields, 'accept-ranges')) return whole;
  return { ...whole, fields: [...whole.fields, 'Accept-Ranges', 'bytes'] };
}

function selectRange(
  range: string,
  whole: Whole,
  size: number,
  newBoundary: (() => string) | undefined,
): Selection {
  const ranges = parseRange(range, size);
  if (ranges === 'unsatisfiable') {
    const fields = refusalFields(whole.fields);
    return { status: 416, fields: [...fields, 'Content-Range', `bytes */${size}`], part: 'none' };
  }
  const [first, second] = ranges === 'ignore' ? [] : ranges;
  if (first !== undefined && second === undefined) return selectOne(first, whole, size);
  if (ranges === 'ignore' || newBoundary === undefined) return { ...whole, part: 'all' };
  const type = fieldValue(whole.fields, 'content-type');
  const part = multipart(ranges, size, type, newBoundary());
  const fields = withoutFields(
    whole.fields,
    (name) => name === 'content-length' || name === 'content-type',
  );
  fields.push('Content-Length', String(part.length), 'Content-Type', part.contentType);
  return { status: 206, fields, part };
}

function selectOne(part: ByteRange, whole: Whole, size: number): Selection {
  const { start, end } = part;
  const fields = withoutFields(whole.fields, (name) => name === 'content-length');
  fields.push('Content-Length', String(end - start + 1));
  fields.push('Content-Range', `bytes ${start}-${end}/${size}`);
  return { status: 206, fields, part };
}

/**
 * RFC 9110 §15.4.5. All that the 200 would say of the representation, save its length: a cache on
 * the way updates what it has stored with it (RFC 9111 §3.2).
 */
const notModified = (whole: Whole): Selection => ({
  status: 304,
  fields: withoutFields(whole.fields, (name) => name === 'content-length'),
  part: 'none',
});

/** What a refusal says of the resource: nothing that describes or allows storing the content it withholds. */
const refusalFields = (fields: Fields): string[] =>
  withoutFields(fields, (name) => name.startsWith('content-') || OF_THE_CONTENT.has(name));

const OF_THE_CONTENT: ReadonlySet<string> = new Set([
  'age',
  'cache-control',
  'cdn-cache-control',
  'expires',
  'surrogate-control',
]);
