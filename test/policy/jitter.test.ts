import { expect, test } from 'vitest';
import { jitter } from '#core/cache/policy/jitter.ts';

test('without a fraction nothing is given up', () => {
  expect(jitter('site http://a/b', 0)).toBe(0);
});

test('a key gives up the same part every time', () => {
  expect(jitter('site http://a/b', 0.1)).toBe(jitter('site http://a/b', 0.1));
});

test('similar keys are spread evenly, and never beyond the fraction', () => {
  const parts = Array.from({ length: 1000 }, (_, i) => jitter(`site http://a/page/${i}`, 0.1));
  const tenths = Array.from({ length: 10 }, () => 0);
  for (const part of parts) {
    expect(part).toBeGreaterThanOrEqual(0);
    expect(part).toBeLessThan(0.1);
    const tenth = Math.floor(part * 100);
    tenths[tenth] = (tenths[tenth] ?? 0) + 1;
  }
  for (const count of tenths) expect(count).toBeGreaterThan(60);
});
