import { type Fields, withoutFields } from '#core/http/fields.ts';

/**
 * Fields that a 304 does not change in what is stored (RFC 9111 §3.2): the length of the content,
 * and the validator that content is recognised by.
 */
const KEPT: ReadonlySet<string> = new Set(['content-length', 'etag']);

/** The stored fields, freshened by those of the 304 that validated them, RFC 9111 §3.2 and §4.3.4. */
export function freshenedFields(stored: Fields, notModified: Fields): Fields {
  const updates = withoutFields(notModified, (name) => KEPT.has(name));
  const updated = new Set<string>();
  for (let i = 0; i < updates.length; i += 2) updated.add((updates[i] ?? '').toLowerCase());
  // A validated response ages anew: an Age that the 304 does not repeat no longer holds.
  updated.add('age');
  return [...withoutFields(stored, (name) => updated.has(name)), ...updates];
}
