import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { Distinct } from '#core/distinct.ts';
import { hash32 } from '#core/hash.ts';

const noted = (size: number, hashes: Iterable<number>): Distinct => {
  const distinct = new Distinct(size);
  for (const hash of hashes) distinct.note(hash);
  return distinct;
};
const hash = fc.integer({ min: 0, max: 2 ** 32 - 1 });

test('what several noted, put together, is what one would have noted of all', () => {
  fc.assert(
    fc.property(fc.array(fc.array(hash)), fc.integer({ min: 1, max: 20 }), (parts, size) => {
      const together = new Distinct(size);
      for (const part of parts) together.noteAll(noted(size, part).hashes);
      expect(together.hashes).toEqual(noted(size, parts.flat()).hashes);
    }),
  );
});

test('fewer than it keeps are counted exactly', () => {
  fc.assert(
    fc.property(fc.array(hash, { maxLength: 19 }), (hashes) => {
      expect(noted(20, hashes).count).toBe(new Set(hashes).size);
    }),
  );
});

test.for([2_000, 50_000, 300_000])('%d are counted within a tenth', (many) => {
  const keys = Array.from({ length: many }, (_, i) => hash32(`http://a/${i}`));
  expect(Math.abs(noted(1024, [...keys, ...keys]).count / many - 1)).toBeLessThan(0.1);
});
