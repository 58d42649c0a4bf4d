import { expect, test } from 'vitest';
import {
  contentRange,
  fieldsOfWhole,
  isSliceable,
  probeFor,
  sliceAnswer,
  sliceRange,
} from '#core/cache/policy/slicing.ts';
import { cacheSettings, response } from './facts.ts';

const settings = cacheSettings({ sliceBytes: 4096, sliceAboveBytes: 10_000 });
const CUT = { size: 10_000_000_000, sliceBytes: 4096 };

test.each([
  ['a strong validator and a length', { ETag: '"1"' }, 200, 10_001, true],
  ['not above the limit', { ETag: '"1"' }, 200, 10_000, false],
  ['a weak validator, RFC 9110 §13.1.5', { ETag: 'W/"1"' }, 200, 99_999, false],
  ['no validator', {}, 200, 99_999, false],
  ['no length', { ETag: '"1"' }, 200, undefined, false],
  ['another status than 200', { ETag: '"1"' }, 404, 99_999, false],
])('sliceable: %s', (_, fields, status, size, expected) => {
  expect(isSliceable(response(fields, status), size, settings)).toBe(expected);
});

test('the last slice may be short', () => {
  expect(sliceRange({ size: 10_000, sliceBytes: 4096 }, 0)).toEqual({ start: 0, end: 4095 });
  expect(sliceRange({ size: 10_000, sliceBytes: 4096 }, 2)).toEqual({ start: 8192, end: 9999 });
});

test.each([
  ['no Range', 'GET', undefined, undefined],
  ['a range near the start', 'GET', 'bytes=0-99', undefined],
  ['HEAD, for which Range means nothing (RFC 9110 §14.2)', 'HEAD', 'bytes=20000-', undefined],
  ['several ranges', 'GET', 'bytes=20000-20001,30000-30001', undefined],
  ['another unit', 'GET', 'items=20000-', undefined],
  ['a number that cannot be counted with', 'GET', `bytes=${'9'.repeat(30)}-`, undefined],
  ['far in', 'GET', 'bytes=20000-20001', { range: 'bytes=16384-20479', index: 4, isOwn: false }],
  ['far in, open', 'GET', 'bytes=20480-', { range: 'bytes=20480-24575', index: 5, isOwn: false }],
  ['a short suffix', 'GET', 'bytes=-500', { range: 'bytes=-500', index: undefined, isOwn: true }],
  [
    'a long suffix, whose place is not known',
    'GET',
    'bytes=-501',
    { range: 'bytes=-1', index: undefined, isOwn: false },
  ],
])('probe: %s', (_, method, range, expected) => {
  const fields = range === undefined ? [] : ['Range', range];
  expect(probeFor(method, fields, settings, 500)).toEqual(expected);
});

test.each([
  ['bytes 0-9/5368709120', { start: 0, end: 9, size: 5_368_709_120 }],
  ['bytes 0-9/*', undefined],
  ['bytes */10', undefined],
  ['bytes 9-0/10', undefined],
  ['bytes 0-10/10', undefined],
  ['bytes 0-9/10, bytes 0-9/10', undefined],
])('Content-Range %s, RFC 9110 §14.4', (value, expected) => {
  expect(contentRange(['Content-Range', value])).toEqual(expected);
});

test('the fields of the whole, RFC 9110 §15.3.7', () => {
  const fields = ['ETag', '"1"', 'Content-Length', '5', 'Content-Range', 'bytes 0-4/9'];
  expect(fieldsOfWhole(fields, 9)).toEqual(['ETag', '"1"', 'Content-Length', '9']);
});

const ASKED = { start: 4096, end: 8191 };
const SIZE = String(CUT.size);
test.each([
  ['the part', 206, { ETag: '"1"', 'Content-Range': `bytes 4096-8191/${SIZE}` }, 'part'],
  ['a shorter part', 206, { ETag: '"1"', 'Content-Range': `bytes 4096-5000/${SIZE}` }, 'part'],
  ['another part', 206, { ETag: '"1"', 'Content-Range': `bytes 0-4095/${SIZE}` }, 'failed'],
  ['more than asked', 206, { ETag: '"1"', 'Content-Range': `bytes 4096-9000/${SIZE}` }, 'failed'],
  ['another size', 206, { ETag: '"1"', 'Content-Range': 'bytes 4096-8191/9000' }, 'changed'],
  [
    'another validator',
    206,
    { ETag: '"2"', 'Content-Range': `bytes 4096-8191/${SIZE}` },
    'changed',
  ],
  ['no validator', 206, { 'Content-Range': `bytes 4096-8191/${SIZE}` }, 'changed'],
  ['the whole, RFC 9110 §14.2', 200, { ETag: '"1"', 'Content-Length': SIZE }, 'whole'],
  ['a whole without length', 200, { ETag: '"1"' }, 'changed'],
  ['the whole of another version', 200, { ETag: '"2"', 'Content-Length': SIZE }, 'changed'],
  ['gone', 404, {}, 'changed'],
  ['shorter by now', 416, {}, 'changed'],
  ['a failure', 503, {}, 'failed'],
  ['too many requests', 429, {}, 'failed'],
])('a slice answered with %s', (_, status, fields, expected) => {
  const answer = { status, fields: Object.entries<string>(fields).flat() };
  expect(sliceAnswer(CUT, '"1"', ASKED, answer)).toBe(expected);
});
