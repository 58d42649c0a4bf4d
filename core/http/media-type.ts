import { contentType, lookup } from 'mime-types';

/** `Content-Type` by the ending of a path, with the charset where it is text. */
export function mediaTypeOf(path: string): string {
  const type = lookup(path);
  return (type !== false && contentType(type)) || 'application/octet-stream';
}
