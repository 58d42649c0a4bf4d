import { type Fields, fieldValue } from '#core/http/fields.ts';
import { select } from '#core/http/selection.ts';
import { type ContentRange, contentRange, fieldsOfWhole } from './slicing.ts';
import { freshenedFields } from './update.ts';

/** A stored part of an object: `fields` are those of the whole 200 answer. */
export interface StoredPart {
  readonly fields: Fields;
  /** The bytes that are there. */
  readonly part: ContentRange;
}

/** Whether a request is answered by what is there of an object, RFC 9111 §3.3. */
export function liesWithin(
  { fields, part: held }: StoredPart,
  method: string,
  requestFields: Fields,
): boolean {
  const whole = { status: 200, fields, size: held.size };
  const { part } = select(method, requestFields, whole, () => '');
  if (typeof part === 'string') return part === 'none';
  const ranges = 'parts' in part ? part.parts.map(({ range }) => range) : [part];
  return ranges.every(({ start, end }) => start >= held.start && end <= held.end);
}

/** What of an object is asked for to complete it. */
export interface Rest {
  readonly range: ContentRange;
  /** Of the request for it. */
  readonly fields: Fields;
}

/**
 * What completes a stored part; `undefined` where no strong validator could tell that it is of the
 * same version (RFC 9111 §3.4), or where it would take more than one range.
 */
export function restOf({ fields, part: { start, end, size } }: StoredPart): Rest | undefined {
  const etag = fieldValue(fields, 'etag');
  if (etag?.startsWith('"') !== true) return undefined;
  if (start === 0) {
    const range = { start: end + 1, end: size - 1, size };
    return { range, fields: ['Range', `bytes=${range.start}-`, 'If-Range', etag] };
  }
  if (end < size - 1) return undefined;
  const range = { start: 0, end: start - 1, size };
  return { range, fields: ['Range', `bytes=0-${range.end}`, 'If-Range', etag] };
}

/**
 * The fields of the whole, RFC 9111 §3.4: those of the answer that brings the rest, over the stored
 * ones. `undefined` where it is another version, or not that rest.
 */
export function completedFields(
  stored: StoredPart,
  rest: Rest,
  answer: { readonly status: number; readonly fields: Fields },
): readonly string[] | undefined {
  if (answer.status !== 206) return undefined;
  if (fieldValue(answer.fields, 'etag') !== fieldValue(stored.fields, 'etag')) return undefined;
  const range = contentRange(answer.fields);
  const { start, end, size } = rest.range;
  if (range?.start !== start || range.end !== end || range.size !== size) return undefined;
  return fieldsOfWhole(freshenedFields(stored.fields, answer.fields), size);
}
