import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatDate, parseDate } from '#core/http/dates.ts';

const NOW = Date.UTC(2026, 5, 1);
const EXAMPLE = Date.UTC(1994, 10, 6, 8, 49, 37);

describe('parseDate', () => {
  test.each<[source: string, field: string, ms: number]>([
    ['RFC 9110 §5.6.7 IMF-fixdate', 'Sun, 06 Nov 1994 08:49:37 GMT', EXAMPLE],
    ['RFC 9110 §5.6.7 rfc850-date', 'Sunday, 06-Nov-94 08:49:37 GMT', EXAMPLE],
    ['RFC 9110 §5.6.7 asctime-date', 'Sun Nov  6 08:49:37 1994', EXAMPLE],
    ['asctime of two day digits', 'Wed Nov 16 08:49:37 1994', Date.UTC(1994, 10, 16, 8, 49, 37)],
    ['RFC 9111 §4.2 any case', 'sun, 06 NOV 1994 08:49:37 gmt', EXAMPLE],
    ['a wrong weekday', 'Mon, 06 Nov 1994 08:49:37 GMT', EXAMPLE],
    ['a leap second', 'Sat, 31 Dec 2016 23:59:60 GMT', Date.UTC(2017, 0, 1)],
    ['29 February of a leap year', 'Thu, 29 Feb 2024 00:00:00 GMT', Date.UTC(2024, 1, 29)],
    ['the epoch', 'Thu, 01 Jan 1970 00:00:00 GMT', 0],
    ['a year below 100', 'Mon, 01 Jan 0099 00:00:00 GMT', Date.parse('0099-01-01T00:00:00Z')],
  ])('%s: %s', (_source, field, ms) => {
    expect(parseDate(field, NOW)).toBe(ms);
  });

  test.each<[reason: string, field: string]>([
    ['nothing', ''],
    ['a number', '0'],
    ['RFC 9111 §4.2: a zone that is not GMT', 'Sun, 06 Nov 1994 08:49:37 UTC'],
    ['an offset', 'Sun, 06 Nov 1994 08:49:37 +0000'],
    ['no zone', 'Sun, 06 Nov 1994 08:49:37'],
    ['no weekday', '06 Nov 1994 08:49:37 GMT'],
    ['one day digit', 'Sun, 6 Nov 1994 08:49:37 GMT'],
    ['an unknown month', 'Sun, 06 Nvm 1994 08:49:37 GMT'],
    ['a day that the month lacks', 'Fri, 31 Feb 2025 00:00:00 GMT'],
    ['29 February of a common year', 'Sat, 29 Feb 2025 00:00:00 GMT'],
    ['day 0', 'Sat, 00 Jan 2025 00:00:00 GMT'],
    ['hour 24', 'Sun, 06 Nov 1994 24:00:00 GMT'],
    ['minute 60', 'Sun, 06 Nov 1994 08:60:00 GMT'],
    ['second 61', 'Sun, 06 Nov 1994 08:49:61 GMT'],
    ['text behind it', 'Sun, 06 Nov 1994 08:49:37 GMT, x'],
    ['ISO 8601', '1994-11-06T08:49:37Z'],
  ])('is none: %s', (_reason, field) => {
    expect(parseDate(field, NOW)).toBeUndefined();
  });

  test.each<[digits: string, now: string, year: number]>([
    ['26', '2026-06-01', 2026],
    ['75', '2026-06-01', 2075],
    ['77', '2026-06-01', 1977],
    ['94', '2026-06-01', 1994],
    ['00', '2099-06-01', 2100],
    ['99', '2000-06-01', 1999],
  ])('RFC 9110 §5.6.7: year %s, read in %s, is %d', (digits, now, year) => {
    const parsed = parseDate(`Sunday, 06-Nov-${digits} 08:49:37 GMT`, Date.parse(now));
    expect(new Date(parsed ?? Number.NaN).getUTCFullYear()).toBe(year);
  });

  test('RFC 9110 §5.6.7: fifty years ahead to the second stay ahead, one more is past', () => {
    const now = Date.UTC(2026, 10, 6, 8, 49, 37);
    expect(parseDate('Friday, 06-Nov-76 08:49:37 GMT', now)).toBe(Date.UTC(2076, 10, 6, 8, 49, 37));
    expect(parseDate('Friday, 06-Nov-76 08:49:38 GMT', now)).toBe(Date.UTC(1976, 10, 6, 8, 49, 38));
  });
});

describe('formatDate', () => {
  test('writes the IMF-fixdate and cuts off parts of a second', () => {
    expect(formatDate(EXAMPLE + 999)).toBe('Sun, 06 Nov 1994 08:49:37 GMT');
  });

  test('is read back by parseDate', () => {
    const seconds = fc.integer({ min: -60_000_000_000, max: 250_000_000_000 });
    fc.assert(
      fc.property(seconds, (s) => {
        expect(parseDate(formatDate(s * 1000), NOW)).toBe(s * 1000);
      }),
      { numRuns: 1000 },
    );
  });
});
