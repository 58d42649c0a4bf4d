import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { BLOCK_BYTES, BlockWriter, fileBytes, readBlocks } from '#core/cache/disk/blocks.ts';
import { decodeRecord, encodeRecord, expiryOf, type KeyRecord } from '#core/cache/disk/record.ts';
import { response } from '#test/policy/facts.ts';

const text = fc.string({ unit: 'binary', maxLength: 50 });
const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array));

const record: fc.Arbitrary<KeyRecord> = fc
  .record({
    key: text,
    site: text,
    expiresAt: fc.oneof(fc.constant(Infinity), fc.nat()),
    stored: fc.array(fc.tuple(text, fc.array(text), fc.oneof(bytes, fc.nat())), { maxLength: 4 }),
  })
  .map(({ stored, ...head }) => ({
    ...head,
    variants: stored.map(([selector, fields, body]) => ({
      selector,
      fields,
      facts: response({}),
      initialAgeMs: 1,
      receivedAt: 2,
      asOf: 3,
      softPurgedAt: undefined,
      at: typeof body === 'number' ? { size: 9, file: body } : { size: body.length },
    })),
    bodies: stored.map(([, , body]) => (typeof body === 'number' ? undefined : body)),
  }));

test('a record is read as it was written', () => {
  fc.assert(
    fc.property(record, (written) => {
      const encoded = encodeRecord(written);
      expect(decodeRecord(encoded)).toEqual(written);
      expect(expiryOf(encoded)).toBe(written.expiresAt);
    }),
  );
});

test('no record is read that is damaged anywhere', () => {
  fc.assert(
    fc.property(record, fc.nat(), fc.integer({ min: 1, max: 255 }), (written, place, change) => {
      const encoded = encodeRecord(written);
      const at = place % encoded.length;
      encoded[at] = (encoded[at] ?? 0) ^ change;
      expect(decodeRecord(encoded)).toBeUndefined();
      expect(decodeRecord(encodeRecord(written).subarray(0, at))).toBeUndefined();
    }),
  );
});

const sizes = fc.oneof(
  fc.nat(10),
  fc.integer({ min: BLOCK_BYTES - 2, max: BLOCK_BYTES + 2 }),
  fc.nat(3 * BLOCK_BYTES),
);

test('content is read from its blocks as it was written, however it came, and never damaged', () => {
  fc.assert(
    fc.property(fc.array(sizes, { maxLength: 4 }), fc.nat(), fc.nat(), (pieces, file, place) => {
      const chunks = pieces.map((size, i) => Buffer.alloc(size, i + 1));
      const writer = new BlockWriter(file);
      const blocks = [...chunks.flatMap((chunk) => [...writer.add(chunk)]), ...writer.end()];
      const whole = Buffer.concat(blocks);
      const content = Buffer.concat(chunks);
      expect(whole).toHaveLength(fileBytes(content.length));
      expect(Buffer.concat(readBlocks(whole, file, 0) ?? []).equals(content)).toBe(true);
      if (content.length === 0) return;
      expect(readBlocks(whole, file + 1, 0)).toBeUndefined();
      expect(readBlocks(whole, file, 1)).toBeUndefined();
      const at = place % whole.length;
      whole[at] = (whole[at] ?? 0) ^ 1;
      expect(readBlocks(whole, file, 0)).toBeUndefined();
    }),
    { numRuns: 30 },
  );
});
