import { normalizeAcceptEncoding } from '#core/http/accept-encoding.ts';
import { type Fields, fieldValue, withoutFields } from '#core/http/fields.ts';
import { unconditional } from './policy/validation.ts';

/**
 * A request on behalf of everybody: no conditions of one client, and content codings in the one
 * spelling that variants are told apart by.
 */
export function everybodysFields(fields: Fields): string[] {
  const shared = withoutFields(unconditional(fields), (name) => name === 'accept-encoding');
  const codings = normalizeAcceptEncoding(fieldValue(fields, 'accept-encoding'));
  if (codings !== undefined) shared.push('Accept-Encoding', codings);
  return shared;
}
