import { expect, test } from 'vitest';
import { variantSelector } from '#core/cache/policy/vary.ts';
import { normalizeAcceptEncoding } from '#core/http/accept-encoding.ts';

type Fields = readonly string[];

test.each<[string, readonly string[], Fields, Fields, boolean]>([
  ['RFC 9111 §4.1: the same value', ['accept'], ['Accept', 'a'], ['Accept', 'a'], true],
  ['RFC 9111 §4.1: another value', ['accept'], ['Accept', 'a'], ['Accept', 'b'], false],
  ['RFC 9111 §4.1: absent only matches absent', ['accept'], ['Accept', ''], [], false],
  ['RFC 9111 §4.1: absent in both', ['accept'], [], [], true],
  [
    'RFC 9111 §4.1: white space may be normalised',
    ['accept'],
    ['Accept', 'a,b'],
    ['accept', ' a , b'],
    true,
  ],
  [
    'RFC 9111 §4.1: lines may be combined',
    ['accept'],
    ['Accept', 'a', 'Accept', 'b'],
    ['Accept', 'a, b'],
    true,
  ],
  ['fields not named do not matter', ['accept'], ['Cookie', 'a'], ['Cookie', 'b'], true],
  [
    'all named fields matter',
    ['accept', 'dnt'],
    ['Accept', 'a', 'DNT', '1'],
    ['Accept', 'a'],
    false,
  ],
  [
    'codings that come to the same',
    ['accept-encoding'],
    ['Accept-Encoding', 'gzip, br'],
    ['Accept-Encoding', 'br;q=0.5,gzip, deflate'],
    true,
  ],
  ['codings that do not', ['accept-encoding'], ['Accept-Encoding', 'gzip'], [], false],
])('%s', (_, vary, one, other, equal) => {
  expect(variantSelector(vary, one) === variantSelector(vary, other)).toBe(equal);
});

test('white space within a value takes no time', () => {
  const value = `a${' '.repeat(200_000)}b`;
  expect(variantSelector(['accept'], ['Accept', value])).toContain(value);
});

test.each<[string, string | undefined, string | undefined]>([
  ['absent', undefined, undefined],
  ['one', 'gzip', 'gzip'],
  ['RFC 9110 §8.4.1.3: x-gzip is gzip', 'x-gzip', 'gzip'],
  ['in one order', 'gzip, deflate, br, zstd', 'zstd, br, gzip'],
  ['RFC 9110 §12.4.2: weight 0 refuses', 'gzip;q=0, br', 'br'],
  ['RFC 9110 §12.5.3: anything', '*', 'zstd, br, gzip'],
  ['RFC 9110 §12.5.3: anything but one', '*, br;q=0', 'zstd, gzip'],
  ['nothing that matters', 'identity, deflate', undefined],
])('Accept-Encoding: %s', (_, value, expected) => {
  expect(normalizeAcceptEncoding(value)).toBe(expected);
});
