import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  parseDeltaSeconds,
  parseDirectives,
  requestDirectives,
  responseDirectives,
} from '#core/http/directives.ts';

test.each<[string, string, Record<string, string>]>([
  ['RFC 9111 §5.2: names in any case', 'Max-Age=60, NO-STORE', { 'max-age': '60', 'no-store': '' }],
  ['RFC 9111 §5.2: quoted arguments', 'max-age="60"', { 'max-age': '60' }],
  ['RFC 9110 §5.6.4: quoted pairs', String.raw`a="x\"y"`, { a: 'x"y' }],
  ['RFC 9110 §5.6.1: empty members', ', , max-age=1,,', { 'max-age': '1' }],
  [
    'a comma in quotes does not separate',
    'a="no-store, private", b',
    { a: 'no-store, private', b: '' },
  ],
  ['RFC 9111 §4.2.1: the first of several', 'max-age=1, max-age=3600', { 'max-age': '1' }],
  ['white space around =', 'max-age = 60', { 'max-age': '60' }],
  ['no white space after the comma', 'max-age=60,private', { 'max-age': '60', private: '' }],
  ['semicolons do not separate', 'max-age=60; private', { 'max-age': '60; private' }],
])('%s', (_, value, expected) => {
  expect(Object.fromEntries(parseDirectives(value))).toEqual(expected);
});

test('any field value can be read', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (value) => {
      expect(parseDirectives(value)).toBeInstanceOf(Map);
    }),
  );
});

test('a directive that was written is read back', () => {
  const token = fc.stringMatching(/^[a-z-]{1,12}$/);
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.tuple(token, fc.string({ maxLength: 20 })), { selector: ([n]) => n }),
      (pairs) => {
        const written = pairs.map(
          ([name, text]) => `${name}="${text.replaceAll(/["\\]/g, String.raw`\$&`)}"`,
        );
        expect([...parseDirectives(written.join(', '))]).toEqual(pairs);
      },
    ),
  );
});

test.each<[string, string | undefined, number | undefined]>([
  ['whole seconds', '60', 60],
  ['RFC 9111 §1.2.2: too large is 2^31', '99999999999999', 2_147_483_648],
  ['negative', '-1', undefined],
  ['a fraction', '1.5', undefined],
  ['a word', 'soon', undefined],
  ['nothing', '', undefined],
  ['absent', undefined, undefined],
])('delta-seconds: %s', (_, value, expected) => {
  expect(parseDeltaSeconds(value)).toBe(expected);
});

test('RFC 9111 §4.2.1: an unreadable lifetime is none left', () => {
  expect(responseDirectives(['Cache-Control', 'max-age=soon']).maxAgeSeconds).toBe(0);
  expect(responseDirectives(['Cache-Control', 's-maxage']).sMaxageSeconds).toBe(0);
  expect(responseDirectives([]).maxAgeSeconds).toBeUndefined();
});

test('RFC 9111 §5.2.1.2: max-stale without an argument takes any staleness', () => {
  expect(requestDirectives(['Cache-Control', 'max-stale']).maxStaleSeconds).toBe(Infinity);
  expect(requestDirectives(['Cache-Control', 'max-stale=5']).maxStaleSeconds).toBe(5);
});

test('RFC 9111 §5.4: Pragma counts only where Cache-Control is absent', () => {
  expect(requestDirectives(['Pragma', 'no-cache']).noCache).toBe(true);
  expect(requestDirectives(['Pragma', 'no-cache', 'Cache-Control', 'max-age=1']).noCache).toBe(
    false,
  );
});
