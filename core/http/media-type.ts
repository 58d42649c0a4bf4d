import { contentType, lookup } from 'mime-types';

/** `Content-Type` by the ending of a path, with the charset where it is text. */
export function mediaTypeOf(path: string): string {
  const type = lookup(path);
  return (type !== false && contentType(type)) || 'application/octet-stream';
}

/** The media type that a `Content-Type` states, in lower case, without parameters; `''` where there is none. */
export const statedMediaType = (value: string | undefined): string =>
  (value ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
