import { Body } from '#core/cache/body.ts';
import type { HeldObject } from '#core/cache/object.ts';
import { responseFacts } from '#core/cache/policy/response.ts';

const AT = Date.UTC(2026, 0, 1);
const FIELDS = Object.entries({
  'Content-Type': 'image/jpeg',
  'Cache-Control': 'public, max-age=86400',
  ETag: '"5f2c-61b0c8a3d7e40"',
  'Last-Modified': 'Thu, 01 Jan 2026 00:00:00 GMT',
  Date: 'Thu, 01 Jan 2026 00:00:00 GMT',
  Vary: 'Accept-Encoding',
}).flat();
const facts = responseFacts(200, FIELDS, AT);

export const benchKey = (i: number): string =>
  `site https://www.example.org/images/2026/01/picture-${i}.jpg`;

/** The object `i` of a benchmark, with an ordinary header section. */
export const benchObject = (i: number, bytes: number): HeldObject => ({
  key: benchKey(i),
  site: 'site',
  selector: 'gzip',
  fields: FIELDS,
  facts,
  body: new Body([Buffer.alloc(bytes, i & 0xff)]),
  initialAgeMs: 0,
  receivedAt: AT,
  asOf: 1,
  softPurgedAt: undefined,
});
