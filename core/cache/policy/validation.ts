import type { ResponseFacts } from './response.ts';
import { CONDITIONAL, type Fields, fieldValue, withoutFields } from '#core/http/fields.ts';

/** The fields that make a request a validation of `stored`, RFC 9111 §4.3.1; none without a validator. */
export function validationFields(stored: ResponseFacts, storedFields: Fields): Fields {
  const fields: string[] = [];
  if (stored.etag !== undefined) fields.push('If-None-Match', stored.etag);
  const lastModified = fieldValue(storedFields, 'last-modified');
  if (lastModified !== undefined) fields.push('If-Modified-Since', lastModified);
  return fields;
}

/** A client's request without what concerns its own copy only, so that the answer serves everybody. */
export function unconditional(requestFields: Fields): string[] {
  return withoutFields(requestFields, (name) => CONDITIONAL.has(name));
}
