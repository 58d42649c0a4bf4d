import { describe, expect, test } from 'vitest';
import { formatSize, parseSize, sizeSchema } from '#cli/size.ts';

describe('parseSize', () => {
  test.each([
    ['1048576', 1_048_576],
    ['256m', 268_435_456],
    ['256M', 268_435_456],
    ['256 MiB', 268_435_456],
    ['256mb', 268_435_456],
    ['1.5g', 1_610_612_736],
    ['2t', 2_199_023_255_552],
    ['0', 0],
    ['', undefined],
    ['m', undefined],
    ['-1m', undefined],
    ['12x', undefined],
    ['1e3', undefined],
    ['99999999t', undefined],
  ])('%j is %j bytes', (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });
});

describe('sizeSchema', () => {
  test.each([
    ['256m', true],
    [1_048_576, true],
    ['1023k', false],
    [-1, false],
    [1_048_576.5, false],
    ['much', false],
  ])('%j is a size to work with: %j', (size, good) => {
    expect(sizeSchema.safeParse(size).success).toBe(good);
  });
});

test.each([
  [0, '0 B'],
  [999, '999 B'],
  [1024, '1 KiB'],
  [1536, '1.5 KiB'],
  [268_435_456, '256 MiB'],
  [5 * 1024 ** 5, '5120 TiB'],
])('formatSize: %d bytes are %s', (bytes, text) => {
  expect(formatSize(bytes)).toBe(text);
});
