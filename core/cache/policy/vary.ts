import { normalizeAcceptEncoding } from '#core/http/accept-encoding.ts';
import { normalizeAcceptLanguage } from '#core/http/accept-language.ts';
import { type Fields, fieldValue } from '#core/http/fields.ts';

/**
 * The part of a request that `vary` (lower-case field names) selects a variant by: equal selectors
 * mean that RFC 9111 §4.1 lets one request be answered with the response to the other.
 */
export function variantSelector(vary: readonly string[], requestFields: Fields): string {
  if (vary.length === 0) return '';
  return vary.map((name) => `${name}=${selectingValue(name, requestFields)}`).join('\n');
}

function selectingValue(name: string, fields: Fields): string {
  const value = fieldValue(fields, name);
  if (name === 'accept-encoding') return normalizeAcceptEncoding(value) ?? '';
  if (name === 'accept-language' && value !== undefined) return normalizeAcceptLanguage(value);
  // An absent field only matches an absent field, so it must differ from an empty one.
  return value === undefined ? '-' : `+${withoutPadding(value)}`;
}

/** White space around commas tells nothing (RFC 9110 §5.6.1). */
const withoutPadding = (list: string): string =>
  list
    .split(',')
    .map((member) => member.trim())
    .join(',');

/** All names in `varies`, in the one order that `variantSelector` needs; `*` tells nothing apart. */
export const unitedVary = (...varies: readonly (readonly string[])[]): readonly string[] =>
  [...new Set(varies.flat())].filter((name) => name !== '*').toSorted();
