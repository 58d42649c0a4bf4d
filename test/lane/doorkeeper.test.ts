import { expect, test } from 'vitest';
import { Doorkeeper } from '#edge/lane/doorkeeper.ts';

test('a mark is known when it comes again before another takes its place', () => {
  const doorkeeper = new Doorkeeper();
  const [mark, elsewhere, inItsPlace] = [0x9000_0001, 0x9000_0002, 0x8000_0001];
  expect(doorkeeper.isKnown(mark)).toBe(false);
  expect(doorkeeper.isKnown(elsewhere)).toBe(false);
  expect(doorkeeper.isKnown(mark)).toBe(true);
  expect(doorkeeper.isKnown(inItsPlace)).toBe(false);
  expect(doorkeeper.isKnown(mark)).toBe(false);
});

test('marks are told apart by all 32 bits, of either sign', () => {
  const doorkeeper = new Doorkeeper();
  expect(doorkeeper.isKnown(-1)).toBe(false);
  expect(doorkeeper.isKnown(-1)).toBe(true);
  expect(doorkeeper.isKnown(0x7fff_ffff)).toBe(false);
});
