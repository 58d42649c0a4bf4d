import type { ByteRange } from '#core/http/ranges.ts';
import type { UpstreamRequest } from '#core/tree/tree.ts';
import type { Lookup } from './engine.ts';
import { everybodysFields } from './everybodys-fields.ts';
import type { StoredObject } from './object.ts';

/** What is sent to a parent for some bytes of just the version that is stored, RFC 9110 §13.1.5. */
export const rangeRequest = (
  { key, facts }: Pick<StoredObject, 'key' | 'facts'>,
  { start, end }: ByteRange,
  lookup: Lookup,
  fence: number,
): UpstreamRequest => ({
  site: lookup.site,
  key,
  keyedBy: lookup.keyedBy,
  method: 'GET',
  target: lookup.request.target,
  fields: [
    ...everybodysFields(lookup.upstreamFields()),
    'Range',
    `bytes=${start}-${end}`,
    'If-Range',
    facts.etag ?? '',
  ],
  host: lookup.request.host,
  content: undefined,
  fence: Math.max(fence, lookup.askingFence),
  changed: lookup.changed,
  orHeld: true,
  signal: undefined,
});
