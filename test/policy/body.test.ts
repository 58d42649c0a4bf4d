import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { Body } from '#core/cache/body.ts';

/** A piece of a larger buffer, as reads from a socket are. */
const pieces = fc.array(
  fc
    .tuple(fc.integer({ min: 0, max: 70_000 }), fc.integer({ min: 0, max: 70_000 }), fc.nat(255))
    .map(([before, length, value]) =>
      Buffer.concat([Buffer.alloc(before), Buffer.alloc(length, value)]).subarray(before),
    ),
  { maxLength: 8 },
);

test('a body has the bytes it was made of, and keeps hardly more alive', () => {
  fc.assert(
    fc.property(pieces, (chunks) => {
      const body = new Body(chunks);
      const whole = Buffer.concat(chunks);
      expect(body.size).toBe(whole.length);
      expect(Buffer.concat(body.chunks).equals(whole)).toBe(true);
      const kept = new Set(body.chunks.map(({ buffer }) => buffer));
      const keptBytes = [...kept].reduce((sum, { byteLength }) => sum + byteLength, 0);
      expect(keptBytes).toBeLessThanOrEqual(whole.length * 1.07);
    }),
    { numRuns: 100 },
  );
});

test('a body that comes in tiny pieces is kept in few', () => {
  const chunks = Array.from({ length: 200_000 }, () => Buffer.from('x'));
  expect(new Body(chunks).chunks.length).toBeLessThan(10);
});
