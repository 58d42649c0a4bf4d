import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Conversions, convertIndex } from '#core/cache/disk/format.ts';
import type { IndexDb } from '#core/cache/disk/index-db.ts';
import { newIndex } from './support.ts';

let index: IndexDb;
let remove: () => Promise<void>;
beforeEach(async () => void ({ index, remove } = await newIndex()));
afterEach(() => remove());

const said = (text: string) => (db: IndexDb) =>
  db.set('said', ((db.get('said') as string | undefined) ?? '') + text);
const conversions: Conversions = { 1: said('1 to 2. '), 2: said('2 to 3. ') };

test('a new index has the format of today', () => {
  expect(convertIndex(index, conversions, 3)).toBe(true);
  expect(index.get('format')).toBe(3);
  expect(index.get('said')).toBeUndefined();
});

test('an index of an earlier format is brought forward step by step', () => {
  index.set('format', 1);
  expect(convertIndex(index, conversions, 3)).toBe(true);
  expect([index.get('format'), index.get('said')]).toEqual([3, '1 to 2. 2 to 3. ']);
  expect(convertIndex(index, conversions, 3)).toBe(true);
  expect(index.get('said')).toBe('1 to 2. 2 to 3. ');
});

test('a conversion that fails leaves all as it was', () => {
  index.set('format', 1);
  const failing: Conversions = {
    1: said('1 to 2. '),
    2: () => {
      throw new Error('It cannot be read');
    },
  };
  expect(() => convertIndex(index, failing, 3)).toThrow('It cannot be read');
  expect([index.get('format'), index.get('said')]).toEqual([1, undefined]);
});

test.for([[4], [0], [-1], ['1'], [null]])('an index of format %s is of no use', ([format]) => {
  index.set('format', format);
  expect(convertIndex(index, conversions, 3)).toBe(false);
});
