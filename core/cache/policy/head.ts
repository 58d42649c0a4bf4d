import { type Fields, fieldValue } from '#core/http/fields.ts';
import { contentLength } from '#core/http/length.ts';

/**
 * What a 200 to HEAD, which is newer, tells of the stored response to GET, RFC 9111 §4.3.5.
 * - `same`: it is still what the origin has, and takes on the fields of the HEAD
 * - `other`: the origin has something else by now
 * - `unknown`: nothing tells. The RFC would have it updated; but of a page with a clock in it every
 *   version has one length, and would never be renewed
 */
export type HeadVerdict = 'same' | 'other' | 'unknown';

/** @param size bytes of the stored representation */
export function headVerdict(stored: Fields, size: number, head: Fields): HeadVerdict {
  const length = contentLength(head);
  if (length !== undefined && length !== size) return 'other';
  const received = VALIDATORS.filter((name) => fieldValue(head, name) !== undefined);
  if (received.length === 0) return 'unknown';
  const agree = received.every((name) => fieldValue(head, name) === fieldValue(stored, name));
  return agree ? 'same' : 'other';
}

const VALIDATORS = ['etag', 'last-modified'];
