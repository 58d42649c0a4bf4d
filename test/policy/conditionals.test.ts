import { describe, expect, test } from 'vitest';
import {
  type ConditionalRequest,
  evaluatePreconditions,
  ifRangeHolds,
  type PreconditionVerdict,
  type Validators,
} from '#core/http/conditionals.ts';

const BEFORE = 'Sun, 06 Nov 1994 08:49:36 GMT';
const MODIFIED = 'Sun, 06 Nov 1994 08:49:37 GMT';
const AFTER = 'Sun, 06 Nov 1994 08:49:38 GMT';
const strong: Validators = { etag: '"v1"', lastModified: MODIFIED };
const weak: Validators = { etag: 'W/"v1"', lastModified: MODIFIED };

const PROCEED = 'proceed';
const UNCHANGED = 'not-modified';
const FAILED = 'precondition-failed';

type Row = [
  source: string,
  request: ConditionalRequest,
  selected: Validators | undefined,
  verdict: PreconditionVerdict,
];

describe('evaluatePreconditions', () => {
  test.each<Row>([
    ['no preconditions', { method: 'GET' }, strong, PROCEED],

    ['§13.1.1 If-Match: the tag', { method: 'GET', ifMatch: '"v1"' }, strong, PROCEED],
    ['§13.1.1 If-Match: among several', { method: 'PUT', ifMatch: '"a,b", "v1"' }, strong, PROCEED],
    ['§13.1.1 If-Match: another tag', { method: 'PUT', ifMatch: '"v0"' }, strong, FAILED],
    ['§13.1.1 If-Match compares strongly', { method: 'PUT', ifMatch: 'W/"v1"' }, weak, FAILED],
    ['§13.1.1 If-Match: strong of a weak one', { method: 'PUT', ifMatch: '"v1"' }, weak, FAILED],
    ['§13.1.1 If-Match: *', { method: 'PUT', ifMatch: '*' }, strong, PROCEED],
    ['§13.1.1 If-Match: * of nothing', { method: 'PUT', ifMatch: '*' }, undefined, FAILED],
    ['§13.1.1 If-Match without a current tag', { method: 'PUT', ifMatch: '"v1"' }, {}, FAILED],
    ['§13.1.1 If-Match that holds no tag', { method: 'PUT', ifMatch: 'v1' }, strong, FAILED],

    ['§13.1.2 If-None-Match: the tag', { method: 'GET', ifNoneMatch: '"v1"' }, strong, UNCHANGED],
    ['§13.1.2 If-None-Match: HEAD', { method: 'HEAD', ifNoneMatch: '"v1"' }, strong, UNCHANGED],
    [
      '§13.1.2 If-None-Match compares weakly',
      { method: 'GET', ifNoneMatch: 'W/"v1"' },
      strong,
      UNCHANGED,
    ],
    [
      '§13.1.2 If-None-Match: a weak current tag',
      { method: 'GET', ifNoneMatch: '"v1"' },
      weak,
      UNCHANGED,
    ],
    [
      '§13.1.2 If-None-Match: among several',
      { method: 'GET', ifNoneMatch: '"a,b","v1"' },
      strong,
      UNCHANGED,
    ],
    [
      '§8.8.3 a comma does not end a tag',
      { method: 'GET', ifNoneMatch: '"x,"v1""' },
      strong,
      PROCEED,
    ],
    ['§13.1.2 If-None-Match: another tag', { method: 'GET', ifNoneMatch: '"v0"' }, strong, PROCEED],
    [
      '§13.1.2 If-None-Match: unsafe method',
      { method: 'PUT', ifNoneMatch: '"v1"' },
      strong,
      FAILED,
    ],
    ['§13.1.2 If-None-Match: * of something', { method: 'PUT', ifNoneMatch: '*' }, strong, FAILED],
    [
      '§13.1.2 If-None-Match: * of nothing',
      { method: 'PUT', ifNoneMatch: '*' },
      undefined,
      PROCEED,
    ],
    ['§13.1.2 If-None-Match: * without a tag', { method: 'GET', ifNoneMatch: '*' }, {}, UNCHANGED],

    [
      '§13.1.3 If-Modified-Since: the date',
      { method: 'GET', ifModifiedSince: MODIFIED },
      strong,
      UNCHANGED,
    ],
    [
      '§13.1.3 If-Modified-Since: later',
      { method: 'HEAD', ifModifiedSince: AFTER },
      strong,
      UNCHANGED,
    ],
    [
      '§13.1.3 If-Modified-Since: earlier',
      { method: 'GET', ifModifiedSince: BEFORE },
      strong,
      PROCEED,
    ],
    [
      '§13.1.3 If-Modified-Since: not a date',
      { method: 'GET', ifModifiedSince: 'today' },
      strong,
      PROCEED,
    ],
    [
      '§13.1.3 If-Modified-Since: GET and HEAD only',
      { method: 'PUT', ifModifiedSince: MODIFIED },
      strong,
      PROCEED,
    ],
    [
      '§13.1.3 If-Modified-Since of nothing',
      { method: 'GET', ifModifiedSince: MODIFIED },
      undefined,
      PROCEED,
    ],
    [
      '§13.1.3 If-Modified-Since: what was sent by then was current (RFC 9111 §4.3.2)',
      { method: 'GET', ifModifiedSince: MODIFIED },
      { date: MODIFIED },
      UNCHANGED,
    ],
    [
      '§13.1.3 If-None-Match makes it unheard',
      { method: 'GET', ifNoneMatch: '"v0"', ifModifiedSince: MODIFIED },
      strong,
      PROCEED,
    ],
    [
      '§5.6.7 rfc850-date',
      { method: 'GET', ifModifiedSince: 'Sunday, 06-Nov-94 08:49:37 GMT' },
      strong,
      UNCHANGED,
    ],
    [
      '§5.6.7 rfc850-date of this century',
      { method: 'GET', ifModifiedSince: 'Saturday, 01-Jun-24 00:00:00 GMT' },
      { lastModified: 'Sun, 01 Jun 2025 00:00:00 GMT' },
      PROCEED,
    ],
    [
      '§5.6.7 rfc850-date in Last-Modified',
      { method: 'GET', ifModifiedSince: 'Sat, 01 Jun 2024 00:00:00 GMT' },
      { lastModified: 'Sunday, 01-Jun-25 00:00:00 GMT' },
      PROCEED,
    ],

    [
      '§13.1.4 If-Unmodified-Since: the date',
      { method: 'PUT', ifUnmodifiedSince: MODIFIED },
      strong,
      PROCEED,
    ],
    [
      '§13.1.4 If-Unmodified-Since: earlier',
      { method: 'PUT', ifUnmodifiedSince: BEFORE },
      strong,
      FAILED,
    ],
    [
      '§13.1.4 If-Unmodified-Since: GET too',
      { method: 'GET', ifUnmodifiedSince: BEFORE },
      strong,
      FAILED,
    ],
    [
      '§13.1.4 If-Unmodified-Since: not a date',
      { method: 'PUT', ifUnmodifiedSince: '0' },
      strong,
      PROCEED,
    ],
    [
      '§13.1.4 If-Unmodified-Since without a date',
      { method: 'PUT', ifUnmodifiedSince: BEFORE },
      { etag: '"v1"' },
      PROCEED,
    ],
    [
      '§13.1.4 If-Unmodified-Since: Date is no modification date',
      { method: 'GET', ifUnmodifiedSince: BEFORE },
      { date: MODIFIED },
      PROCEED,
    ],
    [
      '§13.1.4 If-Match makes it unheard',
      { method: 'PUT', ifMatch: '"v1"', ifUnmodifiedSince: BEFORE },
      strong,
      PROCEED,
    ],

    [
      '§13.2.2 If-Match before If-None-Match',
      { method: 'GET', ifMatch: '"v0"', ifNoneMatch: '"v1"' },
      strong,
      FAILED,
    ],
    [
      '§13.2.2 both hold',
      { method: 'GET', ifMatch: '"v1"', ifNoneMatch: '"v1"' },
      strong,
      UNCHANGED,
    ],
    [
      '§13.2.2 If-Unmodified-Since before If-Modified-Since',
      { method: 'GET', ifUnmodifiedSince: BEFORE, ifModifiedSince: AFTER },
      strong,
      FAILED,
    ],
  ])('RFC 9110 %s', (_source, request, selected, verdict) => {
    expect(evaluatePreconditions(request, selected)).toBe(verdict);
  });
});

describe('ifRangeHolds', () => {
  test.each<[source: string, ifRange: string | undefined, validators: Validators, holds: boolean]>([
    ['absent', undefined, {}, true],
    ['the strong tag', '"v1"', strong, true],
    ['another tag', '"v0"', strong, false],
    ['a weak tag, even the same', 'W/"v1"', weak, false],
    ['no current tag', '"v1"', {}, false],
    ['§8.8.2.2 a date that became strong', MODIFIED, { ...strong, date: AFTER }, true],
    ['§8.8.2.2 sent in the second of the change', MODIFIED, { ...strong, date: MODIFIED }, false],
    ['§8.8.2.2 sent at an unknown time', MODIFIED, strong, false],
    ['another date, though later', AFTER, { ...strong, date: AFTER }, false],
    [
      'the same date in another spelling',
      'Sun Nov  6 08:49:37 1994',
      { ...strong, date: AFTER },
      false,
    ],
    ['neither tag nor date', 'v1', strong, false],
  ])('RFC 9110 §13.1.5: %s', (_source, ifRange, validators, holds) => {
    expect(ifRangeHolds(ifRange, validators)).toBe(holds);
  });
});
