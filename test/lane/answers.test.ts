import { connect } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { describe, expect } from 'vitest';
import type { SiteInput } from '#core/contract/site.ts';
import type { Lane, LaneVerdict } from '#core/serving/lane.ts';
import { listen, type Listener } from '#core/serving/listener.ts';
import { serveClients } from '#edge/request.ts';
import { scenario, type World } from '#test/scenario/kit/scenario.ts';

// The same bytes to the same edge, by the lane and without it: the answers are the same, byte for byte.

const HOST = 'Host: www.example.org\r\n';
const END = `GET /end HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`;
const get = (target: string, fields = ''): string =>
  `GET ${target} HTTP/1.1\r\n${HOST}${fields}\r\n`;
const head = (target: string, fields = ''): string => get(target, fields).replace('GET', 'HEAD');

/** Notes what becomes of requests. */
class Noting implements Lane {
  readonly #lane: Lane;
  readonly verdicts: LaneVerdict[] = [];

  constructor(lane: Lane) {
    this.#lane = lane;
  }
  get end(): number {
    return this.#lane.end;
  }
  mayServe(...args: Parameters<Lane['mayServe']>): boolean {
    return this.#lane.mayServe(...args);
  }
  take(...args: Parameters<Lane['take']>): LaneVerdict {
    const verdict = this.#lane.take(...args);
    this.verdicts.push(verdict);
    return verdict;
  }
  get answered(): number {
    return this.verdicts.filter((verdict) => verdict === 'answered').length;
  }
}

/** An edge that listens twice, with objects in its cache. */
interface Edge {
  readonly lane: Noting;
  readonly withLane: Listener;
  readonly without: Listener;
}

async function withEdge(world: World, play: (edge: Edge) => Promise<void>): Promise<void> {
  const { edge, origin, clock } = world;
  const { node } = edge();
  const { handle, lane: hits } = serveClients(node, (error) => edge().errors.push(error));
  const lane = new Noting(hits as Lane);
  const place = { host: '127.0.0.1', port: 0, handle, onError: () => undefined };
  const [withLane, without] = await Promise.all([listen({ ...place, lane }), listen(place)]);
  const fields = { 'Cache-Tag': 'a, b', 'X-Odd': 'caf\xe9' };
  const fresh = { cacheControl: 'max-age=600', etag: '"1"', fields };
  const lastModified = 'Wed, 31 Dec 2025 00:00:00 GMT';
  origin.answers('/a', { ...fresh, lastModified, body: 'content of a' });
  origin.answers('/large', { ...fresh, body: Buffer.alloc(300_000, 'large ') });
  origin.answers('/empty', { ...fresh, body: '' });
  for (const query of ['b=2&a=1', 'a=1&b=2'])
    origin.answers(`/q?${query}`, { ...fresh, body: 'q' });
  origin.answers('/%C3%A9', { ...fresh, body: 'e' });
  origin.answers('/gone', { ...fresh, status: 404, body: 'no' });
  origin.answers('/moved', { ...fresh, status: 301, fields: { Location: '/a' }, body: '' });
  origin.answers('/short', { ...fresh, cacheControl: 'max-age=2', body: 'short' });
  const vary = { ...fields, Vary: 'Accept-Encoding' };
  origin.answers('/vary', { ...fresh, fields: vary, body: 'varies' });
  origin.answers('/private', { cacheControl: 'no-store', body: 'private' });
  const unstored = { cacheControl: 'no-store', body: 'private' };
  for (const method of ['HEAD', 'POST']) origin.answersTo(`${method} /private`, unstored);
  origin.answers('/.well-known/acme-challenge/x', unstored);
  origin.answers('/end', { ...fresh, body: 'end' });
  const all = '/a /large /empty /q?b=2&a=1 /%C3%A9 /gone /moved /short /vary /private /end';
  for (const target of all.split(' ')) await edge().get(target);
  // The next ones are passed on at once.
  for (const target of ['/private', '/.well-known/acme-challenge/x']) await edge().get(target);
  await edge().get('/vary', { 'Accept-Encoding': 'gzip' });
  clock.advance('1500ms');
  try {
    await play({ lane, withLane, without });
  } finally {
    await Promise.all([withLane.close(0), without.close(0)]);
  }
}

/** All that comes back for what is sent, until the other side closes. */
async function exchanged({ port }: Listener, ...pieces: readonly string[]): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true });
  for (const piece of pieces) {
    socket.write(piece, 'latin1');
    // So that they come one by one.
    for (let i = 0; i < 3; i++) await setImmediate();
  }
  let text = '';
  for await (const chunk of socket as AsyncIterable<Buffer>) text += chunk.toString('latin1');
  return text;
}

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
