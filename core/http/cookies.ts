import { type Fields, fieldLines } from './fields.ts';

/**
 * The values of the cookie `name`, joined where a request has several, for servers differ in which
 * they take; `undefined` if it has none. RFC 6265 §5.4; HTTP/2 may send a line for each (RFC 9113 §8.2.3).
 */
export function cookieValue(fields: Fields, name: string): string | undefined {
  let values: string | undefined;
  for (const line of fieldLines(fields, 'cookie')) {
    for (const pair of line.split(';')) {
      const end = pair.indexOf('=');
      if (end === -1 || pair.slice(0, end).trim() !== name) continue;
      const value = pair.slice(end + 1).trim();
      values = values === undefined ? value : `${values};${value}`;
    }
  }
  return values;
}
