import { expect, test } from 'vitest';
import { Marks } from '#core/cache/marks.ts';
import { FakeClock } from '#test/scenario/kit/clock.ts';

test('each object under a key has its own mark, until it is over', () => {
  const clock = new FakeClock();
  const marks = new Marks(clock);
  marks.set('key', 10_000, 'a');
  clock.advance('5s');
  marks.set('key', 10_000, 'b');
  expect([marks.has('key', 'a'), marks.has('key', 'b'), marks.has('key')]).toEqual([
    true,
    true,
    false,
  ]);
  clock.advance('5s');
  expect([marks.has('key', 'a'), marks.has('key', 'b')]).toEqual([false, true]);
});

test('one mark is forgotten, or all of a key', () => {
  const marks = new Marks(new FakeClock());
  for (const selector of ['', 'a', 'b']) marks.set('key', 10_000, selector);
  marks.clear('key', 'a');
  expect([marks.has('key'), marks.has('key', 'a'), marks.has('key', 'b')]).toEqual([
    true,
    false,
    true,
  ]);
  marks.clear('key');
  expect([marks.has('key'), marks.has('key', 'b')]).toEqual([false, false]);
});

test('a key whose objects are many forgets the oldest mark', () => {
  const marks = new Marks(new FakeClock());
  for (let i = 0; i < 65; i++) marks.set('key', 10_000, String(i));
  expect([marks.has('key', '0'), marks.has('key', '1'), marks.has('key', '64')]).toEqual([
    false,
    true,
    true,
  ]);
});
