import { type Fields, hasField } from './fields.ts';

/**
 * Entity tags of what is made of an origin's representation: its own, with the form and, once the
 * content is known, its checksum behind it. So `"v1"` becomes `"v1-br-1a2b3c4d"`, and `W/"v1-br"` while
 * the content is still being made and may differ from node to node.
 */

const MADE_TAG = /^(?:W\/)?"(.*)-(br|zstd|gzip|identity|image)(?:-([0-9a-f]{8}))?"$/;
const LISTED_TAG = /(?:W\/)?"[\x21\x23-\x7e\x80-\uffff]*"/g;

/** @param checksum of the content, 8 hexadecimal digits; without it the tag is weak */
export function madeTag(source: string, form: string, checksum: string | undefined): string {
  const isWeak = source.startsWith('W/') || checksum === undefined;
  const opaque = source.slice(source.indexOf('"') + 1, -1);
  const suffix = checksum === undefined ? form : `${form}-${checksum}`;
  return `${isWeak ? 'W/' : ''}"${opaque}-${suffix}"`;
}

/** The tags of a list, as they stand there. They may hold commas, so they are found, not split. */
export const listedTags = (list: string): readonly string[] => list.match(LISTED_TAG) ?? [];

/** What the origin gave in place of a tag that was made of it; others as they are. */
export function sourceTag(tag: string): string {
  const [, opaque] = MADE_TAG.exec(tag) ?? [];
  return opaque === undefined ? tag : `${tag.startsWith('W/') ? 'W/' : ''}"${opaque}"`;
}

/** A request's preconditions (RFC 9110 §13.1) as the origin can read them, by the tags that it gave. */
export function withSourceTags(fields: Fields): Fields {
  if (!hasField(fields, 'if-none-match') && !hasField(fields, 'if-match')) return fields;
  return fields.map((value, i) => {
    const name = i % 2 === 1 ? (fields[i - 1] ?? '').toLowerCase() : '';
    if (name === 'if-match') return value.replaceAll(LISTED_TAG, sourceTag);
    // Weakness counts for nothing there, but not every origin knows that (RFC 9110 §13.1.2).
    if (name === 'if-none-match') return value.replaceAll(LISTED_TAG, strongSourceTag);
    return value;
  });
}

const strongSourceTag = (tag: string): string => {
  const source = sourceTag(tag);
  return source === tag ? tag : source.replace(/^W\//, '');
};

/**
 * A list of tags in which every tag of the same source in the same form is `current`: they are
 * equivalent (RFC 9110 §8.8.1), whether or not they were the same byte for byte.
 */
export function equivalentTags(list: string, current: string): string {
  const made = MADE_TAG.exec(current);
  // Images are made in many sizes, which only their content tells apart.
  if (made === null || made[2] === 'image') return list;
  return list.replaceAll(LISTED_TAG, (tag) => {
    const other = MADE_TAG.exec(tag);
    return other?.[1] === made[1] && other?.[2] === made[2] ? current : tag;
  });
}
