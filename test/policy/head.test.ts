import { expect, test } from 'vitest';
import { outdatedByHead } from '#core/cache/policy/head.ts';

const LM = 'Thu, 01 Jan 2026 00:00:00 GMT';
const stored = ['ETag', '"1"', 'Last-Modified', LM];

test.each<[string, Readonly<Record<string, string>>, boolean]>([
  ['the same validators', { ETag: '"1"', 'Last-Modified': LM }, false],
  ['the same length', { 'Content-Length': '10' }, false],
  ['no word on either', {}, false],
  ['another entity tag', { ETag: '"2"', 'Last-Modified': LM }, true],
  ['an entity tag that has become weak', { ETag: 'W/"1"' }, true],
  ['another date', { 'Last-Modified': 'Fri, 02 Jan 2026 00:00:00 GMT' }, true],
  ['another length', { ETag: '"1"', 'Content-Length': '11' }, true],
])('RFC 9111 §4.3.5: HEAD with %s', (_, head, outdated) => {
  expect(outdatedByHead(stored, 10, Object.entries(head).flat())).toBe(outdated);
});

test('RFC 9111 §4.3.5: a validator that was not there before', () => {
  expect(outdatedByHead([], 10, ['ETag', '"1"'])).toBe(true);
});
