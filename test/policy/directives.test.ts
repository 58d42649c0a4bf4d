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
  [
    'RFC 9111 §5.2.2.4: the fields of several count together',
    'private="a", private="b"',
    { private: 'a, b' },
  ],
  ['§5.2.2.7: without fields after all', 'private="a", private', { private: '' }],
  ['an open quote hides nothing', 'a="b, no-store', { a: '"b', 'no-store': '' }],
  ['more after a quoted argument', 'a="b" c, d', { a: 'b', d: '' }],
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

test.each<[string, string]>([
  ['a name and a quote', `${'a'.repeat(16_000)}"`],
  ['an argument and a quote', `a=${'a'.repeat(16_000)}"`],
  ['escaped quotes that nothing closes', `"${String.raw`\"`.repeat(8000)}`],
  ['quotes and commas', '",'.repeat(8001)],
])('no field value takes long to read: %s', (_, value) => {
  expect(parseDirectives(value).size).toBeLessThan(2);
});

test.each<[string, string, object]>([
  ['§5.2.2.7', 'private', { private: true, unsharedFields: [] }],
  ['§5.2.2.7: fields', 'private="A, b"', { private: false, unsharedFields: ['a', 'b'] }],
  ['§5.2.2.4: fields', 'no-cache=a', { noCache: false, unsharedFields: ['a'] }],
  ['the stricter of two', 'no-cache="a", no-cache', { noCache: true }],
  ['no field after all', 'private=""', { private: true }],
  ['nothing but commas', 'private=","', { private: true }],
  ['a list that cannot be read', 'no-cache="a', { noCache: true, unsharedFields: [] }],
])('RFC 9111 %s: %s', (_, value, expected) => {
  expect(responseDirectives(['Cache-Control', value])).toMatchObject(expected);
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
