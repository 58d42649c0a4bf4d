import { type Fields, fieldLines, withoutFields } from './fields.ts';

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

/** A header section without the cookies of that name. */
export function withoutCookie(fields: Fields, name: string): Fields {
  if (cookieValue(fields, name) === undefined) return fields;
  const kept = fieldLines(fields, 'cookie')
    .flatMap((line) => line.split(';'))
    .map((pair) => pair.trim())
    .filter((pair) => pair !== '' && pair.split('=', 1)[0]?.trim() !== name);
  const others = withoutFields(fields, (field) => field === 'cookie');
  return kept.length === 0 ? others : [...others, 'Cookie', kept.join('; ')];
}
