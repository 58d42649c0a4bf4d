import { crc32 } from 'node:zlib';
import { Body } from '#core/cache/body.ts';
import type { CacheEngine, Lookup } from '#core/cache/engine.ts';
import type { StoredObject } from '#core/cache/object.ts';
import { fieldsOfMade } from '#core/cache/policy/coding.ts';
import { keptAs, madeSelector } from '#core/cache/policy/keeping.ts';
import { equivalentTags, madeTag } from '#core/http/coded-tag.ts';
import { type Fields, fieldValue, withField } from '#core/http/fields.ts';
import type { ClientRequest } from '#core/http/request.ts';

/** What is stored of a source in some form, if it was made of just the content that the source has. */
export const findMade = (
  { store }: CacheEngine,
  { key, contentId }: Pick<StoredObject, 'key' | 'contentId'>,
  form: string,
): StoredObject | undefined =>
  store
    .lookup(key)
    .find(({ made }) => made !== undefined && made.form === form && made.from === contentId);

/**
 * Stores what was made of a source, under the source's key. Where that has been purged, replaced or let
 * go of meanwhile, it serves only those who have waited for it.
 * @param fields that it has in place of its source's, `ETag` apart
 */
export function keepMade(
  engine: CacheEngine,
  lookup: Lookup,
  source: StoredObject,
  form: string,
  fields: Fields,
  chunks: readonly Buffer[],
): StoredObject {
  const { contentId = '' } = source;
  const checksum = chunks.reduce((sum, chunk) => crc32(chunk, sum), 0);
  const made = { from: contentId, form, checksum: checksum.toString(16).padStart(8, '0') };
  const object: StoredObject = {
    ...source,
    selector: madeSelector(source.selector, form),
    fields,
    body: new Body(chunks),
    contentId: undefined,
    made,
  };
  const current = engine.store
    .lookup(source.key)
    .find((other) => other.contentId === contentId && contentId !== '');
  if (current === undefined || engine.fence.verdict(current)?.mode === 'hard') return object;
  const { facts, initialAgeMs, receivedAt, asOf, softPurgedAt } = current;
  const cache = lookup.site.cacheFor(lookup.request.target, facts);
  void engine.store.put(
    { ...object, facts, initialAgeMs, receivedAt, asOf, softPurgedAt },
    { ...keptAs(current, cache), memoryOnly: !engine.source.isHome(lookup) },
  );
  return object;
}

const shown = new WeakMap<
  StoredObject,
  { readonly source: Fields; readonly object: StoredObject }
>();

/**
 * What was made as it is served: with the state of its source, and with the source's fields as far as
 * they hold of it.
 * @param sourceFields with the `Vary` that both are sent with
 */
export function showMade(
  source: StoredObject,
  sourceFields: Fields,
  made: StoredObject,
): StoredObject {
  const before = shown.get(made);
  // A hit finds the same two objects as the hit before it.
  if (before?.source === sourceFields && before.object.receivedAt === source.receivedAt) {
    return before.object.softPurgedAt === source.softPurgedAt
      ? before.object
      : { ...before.object, softPurgedAt: source.softPurgedAt };
  }
  const object: StoredObject = {
    ...source,
    selector: made.selector,
    fields: madeFields(sourceFields, made.fields, kindOf(made), made.made?.checksum),
    body: made.body,
    contentId: undefined,
    made: made.made,
  };
  shown.set(made, { source: sourceFields, object });
  return object;
}

/** `image`, or the coding. */
const kindOf = ({ made }: StoredObject): string => made?.form.split(':', 1)[0] ?? '';

/**
 * @param kind what it is marked by in the tag
 * @param own in place of the source's fields of these names
 * @param checksum of the content; left out while it is being made
 */
export function madeFields(
  source: Fields,
  own: Fields,
  kind: string,
  checksum: string | undefined,
): Fields {
  let fields: Fields = fieldsOfMade(source);
  for (let i = 0; i < own.length; i += 2) fields = withField(fields, own[i] ?? '', own[i + 1]);
  const etag = fieldValue(source, 'etag');
  return etag === undefined ? fields : [...fields, 'ETag', madeTag(etag, kind, checksum)];
}

/** A request whose conditions name what was made of the same content in the same form before. */
export function askingFor(request: ClientRequest, fields: Fields): ClientRequest {
  const list = fieldValue(request.fields, 'if-none-match');
  const etag = fieldValue(fields, 'etag');
  if (list === undefined || etag === undefined) return request;
  const equivalent = equivalentTags(list, etag);
  return { ...request, fields: withField(request.fields, 'If-None-Match', equivalent) };
}
