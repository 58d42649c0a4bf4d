import { type Fields, fieldValue } from './fields.ts';

/** A number of bytes as fields write it, RFC 9110 §8.6; `undefined` where it cannot be read or counted with. */
export function parseBytes(value: string | undefined): number | undefined {
  const digits = value?.trim();
  if (digits === undefined || !/^\d+$/.test(digits)) return undefined;
  const bytes = Number(digits);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** Bytes of content that `Content-Length` announces. */
export const contentLength = (fields: Fields): number | undefined =>
  parseBytes(fieldValue(fields, 'content-length'));
