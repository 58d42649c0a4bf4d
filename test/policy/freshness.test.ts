import { expect, test } from 'vitest';
import { freshness, initialAgeMs, staleWindows } from '#core/cache/policy/freshness.ts';
import type { CacheSettings } from '#core/contract/cache-settings.ts';
import { at, cacheSettings, RECEIVED_AT, response } from './facts.ts';

type Fields = Readonly<Record<string, string>>;
const DAY = 86_400;

test.each<[string, Fields, number, string, number?, Partial<CacheSettings>?]>([
  [
    'RFC 9111 §4.2.1: s-maxage first',
    { 'Cache-Control': 'max-age=600, s-maxage=60', Expires: at(6000) },
    60,
    's-maxage',
  ],
  [
    'RFC 9111 §4.2.1: then max-age',
    { 'Cache-Control': 'max-age=600', Expires: at(6000) },
    600,
    'max-age',
  ],
  ['RFC 9111 §4.2.1: then Expires less Date', { Expires: at(90), Date: at(-10) }, 100, 'expires'],
  [
    'RFC 9111 §5.3: Expires without Date counts from arrival',
    { Expires: at(90), Date: 'x' },
    90,
    'expires',
  ],
  ['RFC 9111 §5.3: an invalid Expires is in the past', { Expires: '0' }, 0, 'expires'],
  ['RFC 9111 §5.3: Expires before Date', { Expires: at(-5) }, 0, 'expires'],
  [
    'RFC 9111 §5.3: max-age wins over an invalid Expires',
    { Expires: '0', 'Cache-Control': 'max-age=5' },
    5,
    'max-age',
  ],
  [
    'RFC 9111 §4.2.2: a tenth of the time unchanged',
    { 'Last-Modified': at(-1000) },
    100,
    'heuristic',
  ],
  ['RFC 9111 §4.2.2: at most a day', { 'Last-Modified': at(-1000 * DAY) }, DAY, 'heuristic'],
  [
    'RFC 9111 §4.2.2: no heuristic for other statuses',
    { 'Last-Modified': at(-1000) },
    0,
    'none',
    500,
  ],
  [
    'RFC 9111 §4.2.2: unless the response is public',
    { 'Last-Modified': at(-1000), 'Cache-Control': 'public' },
    100,
    'heuristic',
    500,
  ],
  ['nothing is said', {}, 0, 'none'],
  ['the site says', {}, 30, 'site-default', 200, { defaultFreshSeconds: 30 }],
  [
    'the site does not override the origin',
    { 'Cache-Control': 'max-age=5' },
    5,
    'max-age',
    200,
    { defaultFreshSeconds: 30 },
  ],
  ['absence is remembered briefly', {}, 10, 'negative', 404],
  ['absence as the site says', {}, 3, 'negative', 410, { negativeFreshSeconds: 3 }],
  ['absence by status', {}, 60, 'negative', 404, { negativeFreshSeconds: { 404: 60 } }],
  ['absence of another status', {}, 0, 'negative', 410, { negativeFreshSeconds: { 404: 60 } }],
  ['an error that the site names', {}, 5, 'negative', 503, { negativeFreshSeconds: { 503: 5 } }],
  [
    'the site does not override what is said of an error',
    { 'Cache-Control': 'max-age=1' },
    1,
    'max-age',
    503,
    { negativeFreshSeconds: { 503: 5 } },
  ],
  ['at least', { 'Cache-Control': 'max-age=5' }, 30, 'max-age', 200, { minFreshSeconds: 30 }],
  ['at least, though expired', { Expires: '0' }, 30, 'expires', 200, { minFreshSeconds: 30 }],
  ['at most', { 'Cache-Control': 's-maxage=50' }, 30, 's-maxage', 200, { maxFreshSeconds: 30 }],
  [
    'at most, by heuristic',
    { 'Last-Modified': at(-1000) },
    9,
    'heuristic',
    200,
    { maxFreshSeconds: 9 },
  ],
  [
    'the most wins over the least',
    { 'Cache-Control': 'max-age=5' },
    10,
    'max-age',
    200,
    { minFreshSeconds: 30, maxFreshSeconds: 10 },
  ],
  [
    'within both',
    { Expires: at(20) },
    20,
    'expires',
    200,
    { minFreshSeconds: 5, maxFreshSeconds: 30 },
  ],
  [
    'an error is not prolonged',
    { 'Cache-Control': 'max-age=1' },
    1,
    'max-age',
    500,
    { minFreshSeconds: 30 },
  ],
  [
    'no-cache is not prolonged',
    { 'Cache-Control': 'no-cache, max-age=0' },
    0,
    'max-age',
    200,
    { minFreshSeconds: 30 },
  ],
  ['silence has no bounds', {}, 0, 'none', 200, { minFreshSeconds: 30 }],
  [
    "the site's own word has none",
    {},
    60,
    'site-default',
    200,
    { defaultFreshSeconds: 60, maxFreshSeconds: 30 },
  ],
  ['no heuristic', { 'Last-Modified': at(-1000) }, 0, 'none', 200, { heuristicFreshness: false }],
  ['any status with explicit freshness', { 'Cache-Control': 'max-age=7' }, 7, 'max-age', 599],
])('freshness: %s', (_, fields, seconds, source, status = 200, settings = {}) => {
  const facts = response(fields, status);
  expect(freshness(facts, cacheSettings(settings))).toEqual({ freshForMs: seconds * 1000, source });
});

test.each<[string, Fields, number, number]>([
  ['RFC 9111 §4.2.3: how long the answer took', {}, 2, 2],
  ['RFC 9111 §4.2.3: Age and how long the answer took', { Age: '40' }, 2, 42],
  ['RFC 9111 §4.2.3: a Date in the past', { Date: at(-30) }, 2, 30],
  ['RFC 9111 §4.2.3: the larger of both', { Date: at(-30), Age: '40' }, 0, 40],
  ['RFC 9111 §4.2.3: a Date in the future does not make it younger', { Date: at(30) }, 0, 0],
  ['RFC 9111 §5.1: an Age that cannot be read is ignored', { Age: 'old' }, 0, 0],
  ['RFC 9111 §5.1: the first of several', { Age: '7, 40' }, 0, 7],
])('age: %s', (_, fields, tookSeconds, seconds) => {
  const age = initialAgeMs(response(fields), RECEIVED_AT - tookSeconds * 1000, RECEIVED_AT);
  expect(age).toBe(seconds * 1000);
});

test.each<[string, string, Partial<CacheSettings>, number, number]>([
  ['RFC 5861 §3 and §4', 'max-age=1, stale-while-revalidate=5, stale-if-error=7', {}, 5, 7],
  [
    'the site where the origin is silent',
    'max-age=1',
    { staleWhileRevalidateSeconds: 3, staleIfErrorSeconds: 4 },
    3,
    4,
  ],
  [
    'RFC 9111 §5.2.2.2: must-revalidate forbids',
    'max-age=1, stale-if-error=7, must-revalidate',
    {},
    0,
    0,
  ],
  ['RFC 9111 §5.2.2.8: proxy-revalidate forbids', 'max-age=1, proxy-revalidate', {}, 0, 0],
  ['RFC 9111 §5.2.2.4: no-cache forbids', 'no-cache', {}, 0, 0],
  [
    'RFC 9111 §5.2.2.10: s-maxage forbids what the site adds',
    's-maxage=1',
    { staleWhileRevalidateSeconds: 3 },
    0,
    0,
  ],
  ['a window named beside s-maxage is meant', 's-maxage=1, stale-while-revalidate=5', {}, 5, 0],
])('stale windows: %s', (_, cacheControl, settings, whileRevalidate, ifError) => {
  const facts = response({ 'Cache-Control': cacheControl });
  expect(staleWindows(facts, cacheSettings(settings))).toEqual({
    whileRevalidateMs: whileRevalidate * 1000,
    ifErrorMs: ifError * 1000,
  });
});
