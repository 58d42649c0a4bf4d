import { expect, test } from 'vitest';
import { targetedDirectives } from '#core/http/targeted.ts';
import { freshness } from '#core/cache/policy/freshness.ts';
import { storability } from '#core/cache/policy/storability.ts';
import { at, cacheSettings, response } from './facts.ts';

const cdn = (value: string) => targetedDirectives(['CDN-Cache-Control', value]);
const surrogate = (value: string) => targetedDirectives(['Surrogate-Control', value]);

test.each<[string, string, object]>([
  ['RFC 9213 §2.1: a dictionary', 'max-age=60, no-store', { maxAgeSeconds: 60, noStore: true }],
  ['RFC 9213 §2.1: parameters are ignored', 'max-age=60;x=1', { maxAgeSeconds: 60 }],
  ['RFC 9213 §2.1: unknown directives', 'foobar, max-age=60', { maxAgeSeconds: 60 }],
  ['RFC 9111 §1.2.2: too large', 'max-age=99999999999', { maxAgeSeconds: 2_147_483_648 }],
  ['RFC 8941 §3.3.6: false is as absent', 'max-age=60, no-store=?0', { noStore: false }],
  ['RFC 5861 §3', 'max-age=1, stale-while-revalidate=9', { staleWhileRevalidateSeconds: 9 }],
])('CDN-Cache-Control: %s', (_, value, expected) => {
  expect(cdn(value)).toMatchObject(expected);
});

test.each<[string, string]>([
  ['empty', ''],
  ['no structured field', 'max-age=10000, &&&&&'],
  ['a string for a number', 'max-age="10000"'],
  ['a fraction', 'max-age=1.5'],
  ['negative', 'max-age=-1'],
  ['white space around =', 'max-age =100'],
  ['upper case', 'Max-Age=100'],
])('RFC 9213 §2.1: an invalid CDN-Cache-Control is ignored whole: %s', (_, value) => {
  expect(cdn(value)).toBeUndefined();
});

test.each<[string, string, object]>([
  ['as Cache-Control is written', 'MaX-aGe=60', { maxAgeSeconds: 60 }],
  ['no-store', 'no-store', { noStore: true }],
])('Surrogate-Control: %s', (_, value, expected) => {
  expect(surrogate(value)).toMatchObject(expected);
});

test('Surrogate-Control: what is for another surrogate is not for us', () => {
  expect(surrogate('max-age=60;other')).toBeUndefined();
});

test('Surrogate-Control that says nothing of caching leaves Cache-Control in force', () => {
  const fields = { 'Surrogate-Control': 'content="ESI/1.0"', 'Cache-Control': 'private' };
  const request = { method: 'GET', authorized: false };
  const settings = cacheSettings({ defaultFreshSeconds: 60 });
  expect(storability(request, response(fields), undefined, settings)).toBe('private');
});

test('CDN-Cache-Control comes before Surrogate-Control', () => {
  const fields = ['Surrogate-Control', 'max-age=1', 'CDN-Cache-Control', 'max-age=2'];
  expect(targetedDirectives(fields)?.maxAgeSeconds).toBe(2);
});

test.each<[string, Readonly<Record<string, string>>, number]>([
  [
    'a long lifetime over a short',
    { 'Cache-Control': 'max-age=1', 'CDN-Cache-Control': 'max-age=60' },
    60,
  ],
  [
    'a short lifetime over a long',
    { 'Cache-Control': 'max-age=60', 'CDN-Cache-Control': 'max-age=1' },
    1,
  ],
  ['over Expires', { Expires: at(600), 'CDN-Cache-Control': 'max-age=0' }, 0],
  [
    'an invalid one leaves Cache-Control in force',
    { 'Cache-Control': 'max-age=5', 'CDN-Cache-Control': '&' },
    5,
  ],
])('RFC 9213 §2.2: %s', (_, fields, seconds) => {
  expect(freshness(response(fields), cacheSettings()).freshForMs).toBe(seconds * 1000);
});

test('RFC 9213 §2.2: it may allow what Cache-Control forbids to others', () => {
  const facts = response({ 'Cache-Control': 'no-store', 'CDN-Cache-Control': 'max-age=60' });
  const request = { method: 'GET', authorized: false };
  expect(storability(request, facts, undefined, cacheSettings())).toBe('storable');
});
