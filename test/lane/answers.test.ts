import { describe, expect } from 'vitest';
import type { SiteInput } from '#core/contract/site.ts';
import { scenario } from '#test/scenario/kit/scenario.ts';
import { END, exchanged, get, head, HOST, withEdge } from './kit.ts';

// The same bytes to the same edge, by the lane and without it: the answers are the same, byte for byte.

const SITE: Partial<SiteInput> = { tls: { hsts: { maxAgeSeconds: 60 } } };

const ROWS: readonly (readonly [name: string, request: string, byLane: boolean])[] = [
  ['a hit', get('/a'), true],
  ['HEAD', head('/a'), true],
  ['a large object', get('/large'), true],
  ['an empty one', get('/empty'), true],
  ['a query', get('/q?b=2&a=1'), true],
  ['another spelling of the path', get('/x/../%61'), true],
  ['a path beyond ASCII', get('/%c3%a9'), true],
  ['a stored 404', get('/gone'), true],
  ['a stored redirect', get('/moved'), true],
  ['nearly stale', get('/short'), true],
  ['one variant of several', get('/vary', 'Accept-Encoding: gzip\r\n'), true],
  ['another variant', get('/vary'), true],
  ['its own tag', get('/a', 'If-None-Match: "1"\r\n'), true],
  ['its own tag, HEAD', head('/a', 'If-None-Match: "1"\r\n'), true],
  ['a weak tag', get('/a', 'If-None-Match: W/"1"\r\n'), true],
  ['any tag', get('/a', 'If-None-Match: *\r\n'), true],
  ['two lines of tags', get('/a', 'If-None-Match: "0"\r\nIf-None-Match: "1"\r\n'), true],
  ['another tag', get('/a', 'If-None-Match: "2"\r\n'), true],
  ['a date', get('/a', 'If-Modified-Since: Wed, 31 Dec 2025 00:00:00 GMT\r\n'), true],
  ['a precondition that fails', get('/a', 'If-Match: "2"\r\n'), false],
  ['a range', get('/a', 'Range: bytes=2-5\r\n'), true],
  ['a range of the end', get('/large', 'Range: bytes=-1000\r\n'), true],
  ['a range beyond', get('/a', 'Range: bytes=100-\r\n'), false],
  ['a range if unchanged', get('/a', 'Range: bytes=2-5\r\nIf-Range: "1"\r\n'), true],
  ['a range if changed', get('/a', 'Range: bytes=2-5\r\nIf-Range: "2"\r\n'), true],
  ['a reload that the site minds not', get('/a', 'Cache-Control: no-cache\r\n'), true],
  ['a field that sets it off', get('/a', 'CDN-Loop: other\r\n'), false],
  [
    'a host in capitals with a port',
    get('/a').replace('www', 'WWW').replace('.org', '.org:80'),
    true,
  ],
  ['another host', get('/a').replace('www.example.org', 'www.example.net'), false],
  ['a host that is none', get('/a').replace('www.example.org', 'a b'), false],
  ['what may not be stored', get('/private'), false],
  ['a target that is none', get('/%zz'), false],
  ['below /., where an edge answers itself', get('/%2Ewell-known/acme-challenge/x'), false],
];

describe.each([
  ['defaults', {}],
  ['tags exposed', { cache: { exposeTags: true } }],
  ['a query as it came', { key: { sortQuery: false } }],
  ['HSTS', SITE],
] as const)('%s', (_, site) => {
  scenario('equal answers with the lane and without it', { site }, (world) =>
    withEdge(world, async ({ lane, withLane, without }) => {
      for (const [name, request, byLane] of ROWS) {
        const before = lane.answered;
        const ours = await exchanged(withLane, request + END);
        expect(`${name}: ${ours}`).toBe(`${name}: ${await exchanged(without, request + END)}`);
        expect(`${name} ${lane.answered - before}`).toBe(`${name} ${byLane ? 1 : 0}`);
      }
    }),
  );
});

scenario('what is purged, stale or of another configuration, the lane leaves alone', (world) =>
  withEdge(world, async ({ lane, withLane, without }) => {
    const { clock, changeSite, purge, edge, origin } = world;
    const same = async (target: string, answered: number): Promise<void> => {
      const before = lane.answered;
      const ours = await exchanged(withLane, get(target) + END);
      expect(ours).toBe(await exchanged(without, get(target) + END));
      expect(`${target} ${lane.answered - before}`).toBe(`${target} ${answered}`);
    };
    await same('/a', 1);
    clock.advance('999ms');
    await same('/a', 1);
    clock.advance('1ms');
    await same('/a', 1);
    origin.answers('/gone', { cacheControl: 'no-store', body: 'new' });
    purge(['/gone']);
    await edge().get('/gone');
    await same('/gone', 0);
    changeSite({
      rules: [{ match: { path: '/**' }, responseHeaders: { set: { 'X-Rule': 'yes' } } }],
    });
    await same('/a', 1);
    changeSite({ rules: [{ match: { path: '/a' }, deny: true }] });
    await same('/a', 0);
    changeSite({});
    await same('/a', 1);
    edge().losesLease();
    await same('/a', 0);
  }),
);

const MIXES: readonly (readonly [name: string, requests: readonly string[], answered: number])[] = [
  ['hits and others', [get('/a'), get('/private'), head('/a'), head('/private'), get('/a')], 3],
  [
    'what no lane understands',
    [get('/a'), `POST /private HTTP/1.1\r\n${HOST}Content-Length: 3\r\n\r\nabc`, get('/a')],
    1,
  ],
];

describe.each(MIXES)('%s on one connection', (_, requests, answered) => {
  scenario('are answered alike, cut at any byte', (world) =>
    withEdge(world, async ({ lane, withLane, without }) => {
      const text = requests.join('') + END;
      const expected = await exchanged(without, text);
      expect(await exchanged(withLane, text)).toBe(expected);
      expect(lane.answered).toBe(answered);
      const cuts = Array.from({ length: text.length - 1 }, (__, i) => i + 1);
      while (cuts.length > 0) {
        const some = cuts.splice(0, 16);
        const all = await Promise.all(
          some.map((at) => exchanged(withLane, text.slice(0, at), text.slice(at))),
        );
        for (const one of all) expect(one).toBe(expected);
      }
      expect(await exchanged(withLane, ...text.split(''))).toBe(expected);
    }),
  );
});
