import { buffer } from 'node:stream/consumers';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  heldParts,
  isAscending,
  newBoundary,
  passingParts,
} from '#core/cache/multipart-content.ts';
import { multipart, type Multipart } from '#core/http/multipart.ts';
import { type ByteRange, parseRange } from '#core/http/ranges.ts';
import { parseMultipart } from '#test/multipart.ts';

const MAX_BYTES = 300;

/** A content, and several ranges of it as a request would come to them. */
const asked = fc
  .tuple(
    fc.uint8Array({ minLength: 20, maxLength: MAX_BYTES }),
    fc.array(fc.tuple(fc.nat(MAX_BYTES), fc.nat(40)), { minLength: 2, maxLength: 6 }),
  )
  .map(([bytes, pairs]): { content: Buffer; ranges: readonly ByteRange[] } => {
    const specs = pairs.map(([start, length]) => `${start}-${start + length}`);
    const ranges = parseRange(`bytes=${specs.join(',')}`, bytes.length);
    return { content: Buffer.from(bytes), ranges: typeof ranges === 'string' ? [] : ranges };
  })
  .filter(({ ranges }) => ranges.length > 1);

const framed = (content: Buffer, ranges: readonly ByteRange[]): Multipart =>
  multipart(ranges, content.length, 'video/mp4', newBoundary());

const expected = (content: Buffer, ranges: readonly ByteRange[]) =>
  ranges.map(({ start, end }) => ({
    contentRange: `bytes ${start}-${end}/${content.length}`,
    contentType: 'video/mp4',
    bytes: content.subarray(start, end + 1),
  }));

test('parts of a content in memory are read as they were asked', () => {
  fc.assert(
    fc.property(asked, ({ content, ranges }) => {
      const parts = framed(content, ranges);
      const slice = ({ start, end }: ByteRange) => [content.subarray(start, end + 1)];
      const body = Buffer.concat(heldParts(parts, slice));
      expect(body.length).toBe(parts.length);
      expect(parseMultipart(parts.contentType, body)).toEqual(expected(content, ranges));
    }),
  );
});

test('parts of a content that passes by are the same, however it is cut', async () => {
  await fc.assert(
    fc.asyncProperty(asked, fc.integer({ min: 1, max: 50 }), async ({ content, ranges }, step) => {
      const ascending = ranges.toSorted((a, b) => a.start - b.start);
      const parts = framed(content, ascending);
      expect(isAscending(parts)).toBe(true);
      const body = await buffer(passingParts(parts, chunksOf(content, step)));
      expect(body.length).toBe(parts.length);
      expect(parseMultipart(parts.contentType, body)).toEqual(expected(content, ascending));
    }),
  );
});

async function* chunksOf(content: Buffer, step: number): AsyncGenerator<Buffer, void, undefined> {
  for (let at = 0; at < content.length; at += step) yield content.subarray(at, at + step);
}
