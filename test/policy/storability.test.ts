import { expect, test } from 'vitest';
import { storability, type Storability } from '#core/cache/policy/storability.ts';
import type { CacheSettings } from '#core/contract/cache-settings.ts';
import { at, cacheSettings, response } from './facts.ts';

interface Case {
  readonly method?: string;
  readonly authorized?: boolean;
  readonly status?: number;
  readonly contentLength?: number;
  readonly settings?: Partial<CacheSettings>;
}

type Row = [string, Readonly<Record<string, string>>, Storability, Case?];
const FRESH = { 'Cache-Control': 'max-age=60' };

test.each<Row>([
  ['RFC 9111 §3: explicit freshness', FRESH, 'storable'],
  ['RFC 9111 §3: Expires', { Expires: at(60) }, 'storable'],
  ['RFC 9111 §3: any final status with explicit freshness', FRESH, 'storable', { status: 599 }],
  ['RFC 9111 §3: heuristic freshness', { 'Last-Modified': at(-1000) }, 'storable'],
  ['RFC 9111 §3: a method whose answers are not cached', FRESH, 'method', { method: 'POST' }],
  ['RFC 9111 §3.3: a partial answer', FRESH, 'status', { status: 206 }],
  ['a validation is no object', FRESH, 'status', { status: 304 }],
  ['RFC 9111 §5.2.2.5: no-store', { 'Cache-Control': 'max-age=60, no-store' }, 'no-store'],
  [
    'RFC 9111 §5.2.2.3: must-understand overrides no-store where understood',
    { 'Cache-Control': 'max-age=60, no-store, must-understand' },
    'storable',
  ],
  [
    'RFC 9111 §5.2.2.3: must-understand forbids where not',
    { 'Cache-Control': 'max-age=60, must-understand' },
    'must-understand',
    { status: 299 },
  ],
  ['RFC 9111 §5.2.2.7: private', { 'Cache-Control': 'private, max-age=60' }, 'private'],
  [
    'RFC 9111 §5.2.2.7: qualified private forbids only the fields it names',
    { 'Cache-Control': 'private="x", max-age=60' },
    'storable',
  ],
  [
    'RFC 9111 §5.2.2.4: a cookie that is not to be shared is left out of what is stored',
    { 'Cache-Control': 'no-cache="Set-Cookie", max-age=60', 'Set-Cookie': 'a=b' },
    'storable',
  ],
  ['RFC 9111 §3.5: authorized, only max-age', FRESH, 'authorization', { authorized: true }],
  [
    'RFC 9111 §3.5: authorized, public',
    { 'Cache-Control': 'public, max-age=60' },
    'storable',
    { authorized: true },
  ],
  [
    'RFC 9111 §3.5: authorized, must-revalidate',
    { 'Cache-Control': 'must-revalidate, max-age=60' },
    'storable',
    { authorized: true },
  ],
  [
    'RFC 9111 §3.5: authorized, s-maxage',
    { 'Cache-Control': 's-maxage=60' },
    'storable',
    { authorized: true },
  ],
  ['a cookie is for one client', { ...FRESH, 'Set-Cookie': 'a=b' }, 'set-cookie'],
  ...[
    { 'Last-Modified': at(-1000) },
    { 'Cache-Control': 'max-age=0', ETag: '"1"' },
    { 'Cache-Control': 'max-age=0', Expires: at(60), ETag: '"1"' },
    { Expires: at(-60), ETag: '"1"' },
  ].map((silent): Row => [
    'nor is it stored where only the site allows it',
    { ...silent, 'Set-Cookie': 'a=b' },
    'set-cookie',
    { settings: { storeSetCookie: true } },
  ]),
  [
    'nor where only the origin does',
    { 'Cache-Control': 'public, max-age=60', 'Set-Cookie': 'a=b' },
    'set-cookie',
  ],
  [
    'a cookie for everybody, by site and Expires',
    { Expires: at(60), 'Set-Cookie': 'a=b' },
    'storable',
    { settings: { storeSetCookie: true } },
  ],
  ...['public, max-age=60', 'max-age=60', 's-maxage=60'].map((allowed): Row => [
    `a cookie for everybody, by site and ${allowed}`,
    { 'Cache-Control': allowed, 'Set-Cookie': 'a=b' },
    'storable',
    { settings: { storeSetCookie: true } },
  ]),
  [
    'RFC 9213: a cookie for everybody, by site and a targeted field',
    { 'CDN-Cache-Control': 'max-age=60', 'Set-Cookie': 'a=b' },
    'storable',
    { settings: { storeSetCookie: true } },
  ],
  [
    'RFC 9111 §3.5: authorized, and the site wants none',
    { 'Cache-Control': 'public, max-age=60' },
    'authorization',
    { authorized: true, settings: { storeAuthorized: false } },
  ],
  ...['no-store', 'private', 'no-cache', 'no-cache, max-age=0'].map((forbidden): Row => [
    `no bound makes it storable: ${forbidden}`,
    { 'Cache-Control': forbidden },
    forbidden.startsWith('no-cache') ? 'no-reuse' : (forbidden as Storability),
    { settings: { minFreshSeconds: 60, defaultFreshSeconds: null } },
  ]),
  ['more tags than are kept', { ...FRESH, xkey: 'x'.repeat(1025) }, 'too-many-tags'],
  ['RFC 9111 §4.1: Vary: * never matches', { ...FRESH, Vary: 'Accept, *' }, 'vary-any'],
  ['too large', FRESH, 'too-large', { contentLength: 200 * 1024 * 1024 }],
  ['nothing said, nothing to validate with', {}, 'no-reuse'],
  [
    'no-cache with a validator can be used after validation',
    { 'Cache-Control': 'no-cache', ETag: '"1"' },
    'storable',
  ],
  ['no freshness and no validator', { 'Cache-Control': 'max-age=0' }, 'no-reuse'],
  [
    'a stale window is a use',
    { 'Cache-Control': 'max-age=0, stale-while-revalidate=5' },
    'storable',
  ],
  ['absence is remembered', {}, 'storable', { status: 404 }],
  ['a server error is not', {}, 'no-reuse', { status: 500 }],
  ['not even with a validator', { ETag: '"1"' }, 'no-reuse', { status: 500 }],
])(
  '%s',
  (
    _,
    fields,
    expected,
    { method = 'GET', authorized = false, status = 200, contentLength, settings = {} } = {},
  ) => {
    const verdict = storability(
      { method, authorized },
      response(fields, status),
      contentLength,
      cacheSettings(settings),
    );
    expect(verdict).toBe(expected);
  },
);
