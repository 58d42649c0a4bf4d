import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseRange } from '#core/http/ranges.ts';

type Row = [source: string, field: string, size: number, result: string];

/** A result as the `Range` field would say it. */
function spelled(result: ReturnType<typeof parseRange>): string {
  if (typeof result === 'string') return result;
  return result.map(({ start, end }) => `${start}-${end}`).join(',');
}

describe('parseRange', () => {
  test.each<Row>([
    ['RFC 9110 §14.1.2 first 500 bytes', 'bytes=0-499', 10_000, '0-499'],
    ['RFC 9110 §14.1.2 second 500 bytes', 'bytes=500-999', 10_000, '500-999'],
    ['RFC 9110 §14.1.2 last 500 bytes', 'bytes=-500', 10_000, '9500-9999'],
    ['RFC 9110 §14.1.2 open end', 'bytes=9500-', 10_000, '9500-9999'],
    ['RFC 9110 §14.1.2 first and last', 'bytes=0-0,-1', 10_000, '0-0,9999-9999'],
    [
      'RFC 9110 §14.1.2 list with white space',
      'bytes= 0-999, 4500-5499, -1000',
      10_000,
      '0-999,4500-5499,9000-9999',
    ],
    ['RFC 9110 §14.1.2 end beyond the content', 'bytes=5-99', 10, '5-9'],
    ['RFC 9110 §14.1.2 suffix longer than the content', 'bytes=-99', 10, '0-9'],
    ['RFC 9110 §14.1 unit in any case', 'BYTES=0-0', 10, '0-0'],
    ['RFC 9110 §5.6.1 empty list members', 'bytes=,0-1,,3-4,', 10, '0-1,3-4'],
    ['unsatisfiable ones are left out', 'bytes=99-,0-1,-0', 10, '0-1'],
    ['the order asked is kept', 'bytes=5-6,0-1', 10, '5-6,0-1'],
    ['numbers beyond 2^53', 'bytes=0-99999999999999999999', 10, '0-9'],
    ['RFC 9110 §15.3.7.2 touching ranges are one', 'bytes=0-4,5-9', 10, '0-9'],
    ['RFC 9110 §15.3.7.2 overlapping ranges are one', 'bytes=0-4,6-7,3-5', 10, '0-7'],
    ['one within another', 'bytes=5-6,0-1,4-8', 10, '4-8,0-1'],
    ['a byte apart they are two', 'bytes=0-4,6-9', 10, '0-4,6-9'],

    ['RFC 9110 §14.1.2 first-pos at the end', 'bytes=10-', 10, 'unsatisfiable'],
    ['RFC 9110 §14.1.2 suffix of nothing', 'bytes=-0', 10, 'unsatisfiable'],
    ['RFC 9110 §14.1.2 empty content', 'bytes=0-', 0, 'unsatisfiable'],
    ['start beyond 2^53', 'bytes=99999999999999999999-', 10, 'unsatisfiable'],

    ['RFC 9110 §14.1.1 last before first', 'bytes=5-4', 10, 'ignore'],
    ['RFC 9110 §14.2 other unit', 'items=0-4', 10, 'ignore'],
    ['one bad of several', 'bytes=0-1,x', 10, 'ignore'],
    ['no ranges', 'bytes=', 10, 'ignore'],
    ['no numbers', 'bytes=-', 10, 'ignore'],
    ['white space inside', 'bytes=0 - 1', 10, 'ignore'],
    ['a sign', 'bytes=+0-1', 10, 'ignore'],
    ['no unit', '0-1', 10, 'ignore'],
    ['RFC 9110 §14.1.2 suffix of empty content has no Content-Range', 'bytes=-5', 0, 'ignore'],
    ['RFC 9110 §14.2 more bytes than the content', 'bytes=0-,0-', 10, 'ignore'],
    ['RFC 9110 §17.15 seventeen ranges', `bytes=${'0-0,'.repeat(17)}`, 1000, 'ignore'],
  ])('%s: %s of %d → %s', (_source, field, size, result) => {
    expect(spelled(parseRange(field, size))).toBe(result);
  });

  test('white space takes no time', () => {
    expect(parseRange(`bytes=0-${' '.repeat(200_000)}x`, 10)).toBe('ignore');
  });

  test('never selects more than there is, whatever the field', () => {
    const spec = fc.stringMatching(/^\d{0,4}-\d{0,4}$/);
    const field = fc.array(spec, { maxLength: 20 }).map((specs) => `bytes=${specs.join(',')}`);
    fc.assert(
      fc.property(field, fc.nat(5000), (text, size) => {
        const ranges = parseRange(text, size);
        fc.pre(typeof ranges !== 'string');
        expect(ranges.length).toBeGreaterThan(0);
        expect(ranges.length).toBeLessThanOrEqual(16);
        expect(ranges.every(({ start, end }) => start <= end && end < size)).toBe(true);
        const total = ranges.reduce((sum, { start, end }) => sum + end - start + 1, 0);
        expect(total).toBeLessThanOrEqual(size);
        const sorted = ranges.toSorted((a, b) => a.start - b.start);
        const apart = sorted.every((range, i) => range.start > (sorted[i - 1]?.end ?? -2) + 1);
        expect(apart).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});
