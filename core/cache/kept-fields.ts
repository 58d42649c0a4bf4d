import { type Fields, withoutFields } from '#core/http/fields.ts';
import { isTierField } from '#core/tree/tier-fields.ts';

/** The fields of an answer without what tells of its way here, not of the object. */
export const keptFields = (fields: Fields): string[] =>
  withoutFields(fields, (name) => name === 'age' || name === 'cache-status' || isTierField(name));
