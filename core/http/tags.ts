import { type Fields, fieldLines, withoutFields } from './fields.ts';

/** Fields that carry tags, and what stands between two in one line. */
const TAG_FIELDS: ReadonlyMap<string, RegExp> = new Map([
  ['cache-tag', /\s*,\s*/],
  ['surrogate-key', /\s+/],
  ['xkey', /\s+/],
]);

const MAX_TAGS = 1000;
/** Fields are read one character per octet. */
const MAX_TAG_BYTES = 1024;

/**
 * The tags (surrogate keys) of a response, each once, in the order in which they came.
 * @returns `undefined` beyond 1000 tags, or with one of more than 1024 bytes
 */
export function tagsOf(fields: Fields): readonly string[] | undefined {
  const tags = new Set<string>();
  for (const [name, separator] of TAG_FIELDS) {
    for (const line of fieldLines(fields, name)) {
      for (const tag of line.trim().split(separator)) {
        if (tag === '') continue;
        tags.add(tag);
        if (tags.size > MAX_TAGS || tag.length > MAX_TAG_BYTES) return undefined;
      }
    }
  }
  return tags.size === 0 ? NO_TAGS : [...tags];
}

const NO_TAGS: readonly string[] = [];

/** For clients whom the tags of a site do not concern. */
export const withoutTags = (fields: Fields): Fields =>
  withoutFields(fields, (name) => TAG_FIELDS.has(name));
