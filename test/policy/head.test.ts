import { expect, test } from 'vitest';
import { type HeadVerdict, headVerdict } from '#core/cache/policy/head.ts';

const LM = 'Thu, 01 Jan 2026 00:00:00 GMT';
const stored = ['ETag', '"1"', 'Last-Modified', LM];

test.each<[string, Readonly<Record<string, string>>, HeadVerdict]>([
  ['the same validators', { ETag: '"1"', 'Last-Modified': LM }, 'same'],
  ['one of them, the other left out', { 'Last-Modified': LM }, 'same'],
  ['the same validators and length', { ETag: '"1"', 'Content-Length': '10' }, 'same'],
  ['the same length alone', { 'Content-Length': '10' }, 'unknown'],
  ['no word on either', {}, 'unknown'],
  ['another entity tag', { ETag: '"2"', 'Last-Modified': LM }, 'other'],
  ['an entity tag that has become weak', { ETag: 'W/"1"' }, 'other'],
  ['another date', { 'Last-Modified': 'Fri, 02 Jan 2026 00:00:00 GMT' }, 'other'],
  ['another length', { ETag: '"1"', 'Content-Length': '11' }, 'other'],
  ['another length alone', { 'Content-Length': '11' }, 'other'],
])('RFC 9111 §4.3.5: HEAD with %s', (_, head, verdict) => {
  expect(headVerdict(stored, 10, Object.entries(head).flat())).toBe(verdict);
});

test('RFC 9111 §4.3.5: a validator that was not there before', () => {
  expect(headVerdict([], 10, ['ETag', '"1"'])).toBe('other');
});
