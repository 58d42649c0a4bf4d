import { describe, expect } from 'vitest';
import type { SiteInput } from '#core/contract/site.ts';
import { scenario } from '#test/scenario/kit/scenario.ts';
import { END, exchanged, get, head, withEdge } from './kit.ts';

// Sites whose settings have a say in answers: where the lane answers, it says what is said without it.

const GZIP = 'Accept-Encoding: gzip\r\n';
const BROWSER = 'Accept-Encoding: gzip, deflate, br, zstd\r\n';
const TABLET = 'User-Agent: Mozilla/5.0 (iPad; CPU OS 17_5 like Mac OS X)\r\n';

type Row = readonly [name: string, request: string, byLane: boolean];

const SITES: readonly (readonly [string, Partial<SiteInput>, readonly Row[]])[] = [
  [
    'rules',
    {
      rules: [
        {
          match: { path: '/a' },
          responseHeaders: { set: { 'X-Path': '${request.path}' }, remove: ['X-Odd'] },
        },
        {
          match: { path: '/q', query: { a: '1' } },
          responseHeaders: { append: { 'X-Target': '${request.scheme} ${request.target}' } },
        },
        { match: { path: '/vary', contentType: ['text/'] }, securityHeaders: {} },
        { match: { path: '/large' }, responseHeaders: { set: { 'X-To': '${client.address}' } } },
        {
          match: { path: '/moved', headers: { 'x-a': 'b' } },
          responseHeaders: { remove: ['Via'] },
        },
        { match: { path: '/empty', method: ['GET'] }, responseHeaders: { set: { 'X-M': 'm' } } },
        { match: { path: '/text', country: ['NO'] }, responseHeaders: { set: { 'X-C': 'c' } } },
        { match: { path: '/short' }, deny: true },
        { match: { path: '/%C3%A9' }, concurrency: { requests: 100, by: 'address' } },
      ],
    },
    [
      ['a header by the path', get('/a'), true],
      ['HEAD of it', head('/a'), true],
      ['304 of it', get('/a', 'If-None-Match: "1"\r\n'), true],
      ['a part of it', get('/a', 'Range: bytes=2-5\r\n'), true],
      ['another spelling', get('/x/../%61'), true],
      ['a header by the query', get('/q?b=2&a=1'), true],
      ['the same object by another target', get('/q?a=1&b=2'), true],
      ['and again', get('/q?b=2&a=1'), true],
      ['no type that a rule is for', get('/vary'), true],
      ['the address of the client', get('/large'), false],
      ['a field of the request', get('/moved', 'X-A: b\r\n'), false],
      ['the method', get('/empty'), false],
      ['the country', get('/text'), false],
      ['a guard of another kind', get('/%C3%A9'), false],
      ['what is denied', get('/short'), false],
      ['an error, which may have a page', get('/gone'), false],
    ],
  ],
  [
    'compression',
    { compression: { enabled: true } },
    [
      ['gzip', get('/text', GZIP), true],
      ['the best of many', get('/text', BROWSER), true],
      ['in two lines', get('/text', `${GZIP}Accept-Encoding: br\r\n`), false],
      ['as it is', get('/text'), true],
      ['nothing asked for', get('/text', 'Accept-Encoding:\r\n'), true],
      ['refused', get('/text', 'Accept-Encoding: gzip;q=0, identity\r\n'), true],
      ['HEAD', head('/text', GZIP), true],
      ['its own tag', get('/text', `${GZIP}If-None-Match: W/"1-gzip"\r\n`), true],
      ['the tag of another form', get('/text', `${GZIP}If-None-Match: W/"1-br"\r\n`), true],
      ['the tag of the source', get('/text', 'If-None-Match: "1"\r\n'), true],
      ['a part of a copy', get('/text', `${GZIP}Range: bytes=2-5\r\n`), true],
      ['a part of the source', get('/text', 'Range: bytes=2-5\r\n'), true],
      ['no-transform', get('/text', `${GZIP}Cache-Control: no-transform\r\n`), false],
      ['of no type that is compressed', get('/a', GZIP), true],
      ['with variants of its own', get('/vary', GZIP), true],
    ],
  ],
  [
    'fields and cookies in the key',
    { key: { headers: ['x-tenant'], cookies: ['kind'] } },
    [
      ['with none', get('/a'), true],
      ['a tenant', get('/a', 'X-Tenant: b\r\n'), true],
      ['a tenant and a cookie', get('/a', 'Cookie: kind=c; other=d\r\nX-Tenant: b\r\n'), true],
    ],
  ],
  [
    'classes in the key',
    { key: { deviceClass: true, language: ['en', 'no'] } },
    [
      ['a desktop', get('/a'), true],
      ['a tablet', get('/a', `${TABLET}Accept-Language: no, en;q=0.5\r\n`), true],
    ],
  ],
  ['countries in the key', { key: { country: true } }, [['any', get('/a'), false]]],
];

describe.each(SITES)('%s', (_, site, rows) => {
  scenario('equal answers with the lane and without it', { site }, (world) =>
    withEdge(world, async ({ lane, withLane, without }) => {
      for (const codings of ['gzip', 'gzip, deflate, br, zstd', 'identity']) {
        await world.edge().get('/text', { 'Accept-Encoding': codings });
      }
      const tenant = { 'X-Tenant': 'b' };
      await world.edge().get('/a', tenant);
      await world.edge().get('/a', { ...tenant, Cookie: 'kind=c' });
      await world.edge().get('/a', {
        'User-Agent': TABLET.slice(12, -2),
        'Accept-Language': 'no',
      });
      // Twice: the lane remembers what it has found out.
      for (const [name, request, byLane] of [...rows, ...rows]) {
        const expected = await exchanged(without, request + END);
        const before = lane.verdicts.length;
        expect(`${name}: ${await exchanged(withLane, request + END)}`).toBe(`${name}: ${expected}`);
        const verdict = byLane ? 'answered' : 'passed';
        expect(`${name} ${lane.verdicts[before]}`).toBe(`${name} ${verdict}`);
      }
    }),
  );
});

scenario(
  'what is kept for others by the key is not for who comes with another value',
  { site: { key: { headers: ['x-tenant'] } } },
  (world) =>
    withEdge(world, async ({ lane, withLane }) => {
      for (const verdict of ['passed', 'answered']) {
        const before = lane.verdicts.length;
        await exchanged(withLane, get('/a', 'X-Tenant: e\r\n') + END);
        expect(lane.verdicts[before]).toBe(verdict);
      }
    }),
);

scenario(
  'a compressed copy is not served beyond a purge of its source',
  { site: { compression: { enabled: true } } },
  (world) =>
    withEdge(world, async ({ lane, withLane, without }) => {
      const request = get('/text', GZIP) + END;
      await world.edge().get('/text', { 'Accept-Encoding': 'gzip' });
      expect(await exchanged(withLane, request)).toBe(await exchanged(without, request));
      expect(lane.answered).toBe(1);
      world.origin.answers('/text', { cacheControl: 'no-store', body: 'new' });
      world.purge(['/text']);
      expect(await exchanged(withLane, request)).toContain('new');
    }),
);

describe.each([
  ['a hit', get('/a')],
  ['HEAD', head('/a')],
  ['304', get('/a', 'If-None-Match: "1"\r\n')],
  ['a part', get('/a', 'Range: bytes=2-5\r\n')],
])('%s', (_, request) => {
  scenario(
    'a rate counts requests alike, whoever answers them',
    {
      site: {
        rules: [
          { match: { path: '/a' }, rateLimit: { requests: 5, windowSeconds: 60, announce: true } },
        ],
      },
    },
    (world) =>
      withEdge(world, async ({ lane, withLane, without }) => {
        const said: string[] = [];
        for (const listener of [withLane, without, withLane, without, withLane, without]) {
          said.push(await exchanged(listener, request + END));
        }
        const left = said.map((text) => /^RateLimit: .*;r=(\d+);/m.exec(text)?.[1]);
        expect(left).toEqual(['3', '2', '1', '0', '0', '0']);
        const alike = said.map((text) => text.replace(/;r=\d+;/, ';r=N;'));
        expect(alike.slice(0, 4)).toEqual(Array.from({ length: 4 }, () => alike[1]));
        expect(alike[4]).toMatch(/^HTTP\/1\.1 429 /);
        expect(alike[4]).toBe(alike[5]);
        expect(lane.verdicts.filter((verdict) => verdict !== 'foreign')).toEqual([
          'answered',
          'answered',
          'passed',
        ]);
        world.clock.advance('70s');
        expect(await exchanged(withLane, request + END)).toMatch(/;r=4;/);
        expect(lane.answered).toBe(3);
      }),
  );
});

scenario(
  'a rate of who is told apart by more than the address is for others',
  {
    site: {
      rules: [
        {
          match: { path: '/a' },
          rateLimit: { requests: 5, windowSeconds: 60, announce: true, by: { header: 'x-key' } },
        },
      ],
    },
  },
  (world) =>
    withEdge(world, async ({ lane, withLane, without }) => {
      for (const left of [3, 1]) {
        expect(await exchanged(withLane, get('/a') + END)).toMatch(`;r=${left};`);
        expect(await exchanged(without, get('/a') + END)).toMatch(`;r=${left - 1};`);
      }
      expect(lane.answered).toBe(0);
    }),
);
