import { expect, test } from 'vitest';
import { HitForMiss } from '#core/cache/hit-for-miss.ts';
import { FakeClock } from '#test/scenario/kit/clock.ts';

const variant = (cookie?: string, accept?: string) => ({
  key: 'key',
  keySelector: '',
  request: {
    fields: [
      ...(cookie === undefined ? [] : ['Cookie', cookie]),
      ...(accept === undefined ? [] : ['Accept', accept]),
    ],
  },
});

test('a variant is marked for a minute, and probed every ten seconds', () => {
  const clock = new FakeClock();
  const marks = new HitForMiss(clock);
  marks.set(variant('a'), ['cookie']);
  expect([marks.has(variant('a')), marks.has(variant('b')), marks.has(variant())]).toEqual([
    true,
    false,
    false,
  ]);
  expect(marks.probe(variant('a'))).toBe(false);
  clock.advance('10s');
  expect([marks.probe(variant('a')), marks.probe(variant('a'))]).toEqual([true, false]);
  clock.advance('50s');
  expect([marks.has(variant('a')), marks.varyOf('key')]).toEqual([false, []]);
});

test('variants are told apart by all that answers have varied by of late', () => {
  const marks = new HitForMiss(new FakeClock());
  marks.set(variant('a'), ['cookie']);
  marks.set(variant('b', 'text/html'), ['accept', '*']);
  expect(marks.varyOf('key')).toEqual(['accept', 'cookie']);
  expect(marks.has(variant('b', 'text/html'))).toBe(true);
  expect(marks.has(variant('b', 'text/plain'))).toBe(false);
  expect(marks.has(variant('c', 'text/html'))).toBe(false);
});

test('one mark is cleared, or all of a key', () => {
  const marks = new HitForMiss(new FakeClock());
  for (const cookie of ['a', 'b', 'c']) marks.set(variant(cookie), ['cookie']);
  marks.clear(variant('a'));
  expect([marks.has(variant('a')), marks.has(variant('b'))]).toEqual([false, true]);
  marks.clearKey('key');
  expect([marks.has(variant('b')), marks.has(variant('c'))]).toEqual([false, false]);
});

test('beyond so many variants the one least recently asked for is forgotten', () => {
  const marks = new HitForMiss(new FakeClock());
  for (let i = 0; i < 20_001; i++) marks.set(variant(String(i)), ['cookie']);
  expect(marks.has(variant('0'))).toBe(false);
  expect(marks.has(variant('1'))).toBe(true);
  expect(marks.has(variant('20000'))).toBe(true);
});

test('fields without end do not tell ever more variants apart', () => {
  const marks = new HitForMiss(new FakeClock());
  for (let i = 0; i < 100; i++) marks.set(variant('a'), [`x-${i}`]);
  expect(marks.varyOf('key').length).toBe(32);
  expect(marks.has(variant('a'))).toBe(true);
});
