import { expect, test } from 'vitest';
import {
  completedFields,
  liesWithin,
  restOf,
  type StoredPart,
} from '#core/cache/policy/partial.ts';

const stored = (start: number, end: number, etag = '"1"'): StoredPart => ({
  fields: ['ETag', etag, 'A', 'old', 'B', 'old', 'Age', '9', 'Content-Length', '10'],
  part: { start, end, size: 10 },
});

test.each<[string, string, Readonly<Record<string, string>>, boolean]>([
  ['RFC 9111 §3.3: a range within it', 'GET', { Range: 'bytes=4-6' }, true],
  ['the part itself, as a suffix', 'GET', { Range: 'bytes=-6' }, true],
  ['open, to the end', 'GET', { Range: 'bytes=9-' }, true],
  ['several', 'GET', { Range: 'bytes=4-5,8-9' }, true],
  ['RFC 9111 §3.3: the whole', 'GET', {}, false],
  ['a byte too many', 'GET', { Range: 'bytes=3-6' }, false],
  ['one of several beyond it', 'GET', { Range: 'bytes=0-1,8-9' }, false],
  ['RFC 9110 §14.2: another unit asks for the whole', 'GET', { Range: 'items=4-6' }, false],
  ['RFC 9110 §13.1.5: of another version', 'GET', { Range: 'bytes=4-6', 'If-Range': '"2"' }, false],
  ['RFC 9110 §15.5.17: nothing of it', 'GET', { Range: 'bytes=10-' }, true],
  ['RFC 9110 §13.1.2: no content is wanted', 'GET', { 'If-None-Match': '"1"' }, true],
  ['RFC 9110 §9.3.2: HEAD', 'HEAD', {}, true],
])('bytes 4-9 of 10 suffice: %s', (_, method, fields, expected) => {
  expect(liesWithin(stored(4, 9), method, Object.entries(fields).flat())).toBe(expected);
});

test.each<[string, StoredPart, string | undefined]>([
  ['after the beginning', stored(0, 3), 'bytes=4-'],
  ['before the end', stored(4, 9), 'bytes=0-3'],
  ['around the middle', stored(4, 6), undefined],
  ['RFC 9111 §3.4: under a weak validator', stored(0, 3, 'W/"1"'), undefined],
])('the rest %s', (_, part, range) => {
  const fields = range === undefined ? undefined : ['Range', range, 'If-Range', '"1"'];
  expect(restOf(part)?.fields).toEqual(fields);
});

const answer = {
  status: 206,
  fields: ['ETag', '"1"', 'Content-Range', 'bytes 4-9/10', 'B', 'new'],
};
const but = (name: string, value: string): typeof answer => ({
  ...answer,
  fields: answer.fields.map((text, i) => (answer.fields[i - 1] === name ? value : text)),
});

test('RFC 9111 §3.4: the whole has the fields of the rest over those of the part', () => {
  const part = stored(0, 3);
  const rest = restOf(part);
  if (rest === undefined) throw new Error('There is no rest');
  const whole = ['ETag', '"1"', 'A', 'old', 'B', 'new', 'Content-Length', '10'];
  expect(completedFields(part, rest, answer)).toEqual(whole);
  for (const other of [
    but('ETag', '"2"'),
    but('ETag', 'W/"1"'),
    but('Content-Range', 'bytes 5-9/10'),
    but('Content-Range', 'bytes 4-8/10'),
    but('Content-Range', 'bytes 4-9/11'),
    but('Content-Range', 'bytes 4-9/*'),
    { ...answer, status: 200 },
  ]) {
    expect(completedFields(part, rest, other)).toBeUndefined();
  }
});
