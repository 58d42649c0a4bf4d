const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];

const DAY = 'mon|tue|wed|thu|fri|sat|sun';
const LONG_DAY = 'monday|tuesday|wednesday|thursday|friday|saturday|sunday';
const MONTH = `(?<month>${MONTHS.join('|')})`;
const TIME = String.raw`(?<hour>\d\d):(?<minute>\d\d):(?<second>\d\d)`;

/** IMF-fixdate, rfc850-date, asctime-date. Case does not matter, RFC 9111 §4.2; the zone does. */
const FORMS = [
  String.raw`(?:${DAY}), (?<day>\d\d) ${MONTH} (?<year>\d{4}) ${TIME} GMT`,
  String.raw`(?:${LONG_DAY}), (?<day>\d\d)-${MONTH}-(?<year>\d\d) ${TIME} GMT`,
  String.raw`(?:${DAY}) ${MONTH} (?<day>\d\d| \d) ${TIME} (?<year>\d{4})`,
].map((form) => new RegExp(`^${form}$`, 'i'));

/**
 * An HTTP-date in any form of RFC 9110 §5.6.7, as milliseconds since the Unix epoch;
 * `undefined` if `field` is none. A wrong weekday is forgiven.
 * @param now reference for two-digit years, milliseconds since the Unix epoch
 */
export function parseDate(field: string, now: number): number | undefined {
  for (const form of FORMS) {
    const parts = form.exec(field)?.groups;
    if (parts === undefined) continue;
    const month = MONTHS.indexOf((parts['month'] ?? '').toLowerCase());
    const [day, hour, minute, second] = [
      Number(parts['day']),
      Number(parts['hour']),
      Number(parts['minute']),
      Number(parts['second']),
    ];
    // 60 is a leap second, which counts as the first of the next minute.
    if (hour > 23 || minute > 59 || second > 60) return undefined;
    const inYear = (year: number): number | undefined =>
      epochMs(year, month, day, hour, minute, second);
    const digits = parts['year'] ?? '';
    return digits.length === 4 ? inYear(Number(digits)) : inNearYear(Number(digits), now, inYear);
  }
  return undefined;
}

/** The IMF-fixdate of a time in milliseconds since the Unix epoch; parts of a second are cut off. */
export function formatDate(ms: number): string {
  return new Date(ms).toUTCString();
}

/** The latest year of these last two digits that is not more than 50 years ahead, RFC 9110 §5.6.7. */
function inNearYear(
  lastTwoDigits: number,
  now: number,
  inYear: (year: number) => number | undefined,
): number | undefined {
  const thisYear = new Date(now).getUTCFullYear();
  const latest = new Date(now).setUTCFullYear(thisYear + 50);
  const century = thisYear - (thisYear % 100);
  const years = [century + 100, century, century - 100].map((start) => start + lastTwoDigits);
  return years.map(inYear).find((ms) => ms !== undefined && ms <= latest);
}

function epochMs(
  year: number,
  month: number,
  day: number,
  hour: number,
  minute: number,
  second: number,
): number | undefined {
  // Not Date.UTC, which takes the years 0 to 99 for 1900 to 1999.
  const date = new Date(0);
  date.setUTCFullYear(year, month, day);
  // A day that the month does not have has rolled over.
  if (date.getUTCMonth() !== month || date.getUTCDate() !== day) return undefined;
  return date.setUTCHours(hour, minute, second);
}
