import { type Fields, fieldValue } from '#core/http/fields.ts';
import { contentLength } from '#core/http/length.ts';

/**
 * Whether a 200 to HEAD, which is newer, tells that the stored response to GET is outdated: it has
 * another validator or length (RFC 9111 §4.3.5).
 * @param size bytes of the stored representation
 */
export function outdatedByHead(stored: Fields, size: number, head: Fields): boolean {
  const length = contentLength(head);
  if (length !== undefined && length !== size) return true;
  return ['etag', 'last-modified'].some((name) => {
    const value = fieldValue(head, name);
    return value !== undefined && value !== fieldValue(stored, name);
  });
}
