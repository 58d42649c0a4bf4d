import { expect } from 'vitest';
import type { ScenarioNode } from './kit/node.ts';
import { RawClient } from './kit/raw.ts';
import { withRawOrigin } from './kit/raw-scenario.ts';
import { scenario, type World } from './kit/scenario.ts';
import { asThreads, homeOf } from './kit/threads.ts';
import { until } from './kit/until.ts';

const TWO = { edges: ['oslo-0', 'oslo-1'], midTiers: [] };

const threads = ({ edge }: World): [ScenarioNode, ScenarioNode] => [edge('oslo-0'), edge('oslo-1')];

const fills = (node: ScenarioNode): number => node.node.engine.underWay.fills;

scenario('the threads of a node make one request', TWO, async (world) => {
  const { origin, gate } = world;
  const [one, other] = threads(world);
  asThreads(one, other);
  const slow = gate();
  const body = Buffer.alloc(300_000, 'abc');
  origin.answers('/a', { cacheControl: 'max-age=60', body, waitsFor: slow });
  const clients = Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? one : other).get('/a'));
  await slow.reached();
  await until(() => fills(one) === 1 && fills(other) === 1);
  slow.open();
  for (const client of clients) await client.sees({ status: 200, body });
  origin.saw('GET /a');
  // Each has kept what it got.
  await one.get('/a').sees({ edge: 'fresh', body });
  await other.get('/a').sees({ edge: 'fresh', body });
});

scenario('a thread is given what its sibling holds, with its age', TWO, async (world) => {
  const { origin, clock } = world;
  const [one, other] = threads(world);
  asThreads(one, other);
  const { home, away } = homeOf('/a', one, other);
  origin.answers('/a', { cacheControl: 'max-age=60', etag: '"1"', body: 'a' });
  await home.get('/a').sees({ edge: 'uri-miss' });
  clock.advance('40s');
  await away.get('/a').sees({ edge: 'uri-miss', age: 40, body: 'a' });
  expect(away.node.engine.counters.fromSiblings).toBe(1);
  clock.advance('25s');
  await away.get('/a').sees({ edge: 'stale', body: 'a' });
  origin.saw('GET /a', 'GET /a if-none-match "1"');
  await home.get('/a').sees({ edge: 'fresh', age: 0 });
});

scenario('bytes pass between threads as they arrive', TWO, async (world) => {
  const { origin, gate } = world;
  const [one, other] = threads(world);
  asThreads(one, other);
  const { away } = homeOf('/film', one, other);
  const middle = gate();
  const body = Buffer.alloc(200_000, 'ab');
  origin.answers('/film', {
    cacheControl: 'max-age=60',
    body,
    pausesAt: { bytes: 100_000, gate: middle },
  });
  const whole = away.get('/film');
  await middle.reached();
  await away.get('/film', { Range: 'bytes=0-9' }).sees({ status: 206, body: 'ababababab' });
  middle.open();
  await whole.sees({ body });
  origin.saw('GET /film');
});

scenario('what is uncacheable is not shared between threads', TWO, async (world) => {
  const { origin, gate } = world;
  const [one, other] = threads(world);
  asThreads(one, other);
  const slow = gate();
  origin.answers(
    '/me',
    { cacheControl: 'no-store', body: 'first', waitsFor: slow },
    { cacheControl: 'no-store', body: 'another' },
  );
  const clients = [one.get('/me'), other.get('/me')];
  await until(() => fills(one) === 1 && fills(other) === 1);
  await slow.reached();
  slow.open();
  const bodies = await Promise.all(clients.map(async (client) => (await client).body.toString()));
  expect(bodies.toSorted()).toEqual(['another', 'first']);
  origin.saw('GET /me', 'GET /me');
});

scenario('a purge while one thread asks the other is heeded by both', TWO, async (world) => {
  const { origin, gate, purge } = world;
  const [one, other] = threads(world);
  asThreads(one, other);
  const { home, away } = homeOf('/a', one, other);
  const slow = gate();
  const answer = { cacheControl: 'max-age=60' };
  origin.answers('/a', { ...answer, body: 'old', waitsFor: slow }, { ...answer, body: 'new' });
  const before = away.get('/a');
  await slow.reached();
  purge(['/a']);
  await away.get('/a').sees({ body: 'new' });
  slow.open();
  await before.sees({ body: 'old' });
  await away.get('/a').sees({ body: 'new' });
  await home.get('/a').sees({ body: 'new' });
});

scenario(
  'a thread that has heard of a purge is not answered from before it',
  TWO,
  async (world) => {
    const { origin, purge } = world;
    const [one, other] = threads(world);
    asThreads(one, other);
    const { home, away } = homeOf('/a', one, other);
    origin.answers('/a', { cacheControl: 'max-age=60', body: 'old' });
    await home.get('/a').sees({ body: 'old' });
    home.lags();
    purge(['/a']);
    origin.answers('/a', { cacheControl: 'max-age=60', body: 'new' });
    await away.get('/a').sees({ body: 'new' });
  },
);

scenario('a thread without its sibling asks a parent itself', TWO, async (world) => {
  const { origin, gate } = world;
  const [one, other] = threads(world);
  const link = asThreads(one, other);
  const { away } = homeOf('/a', one, other);
  const hung = gate();
  origin.answers(
    '/a',
    { cacheControl: 'max-age=60', body: 'a', waitsFor: hung },
    { cacheControl: 'max-age=60', body: 'a' },
  );
  const waiting = away.get('/a');
  await hung.reached();
  link.dies();
  await waiting.sees({ status: 200, body: 'a' });
  origin.saw('GET /a', 'GET /a');
  hung.open();
});

scenario('a transfer from a thread that dies is continued unseen', TWO, async (world) => {
  const { origin, gate } = world;
  const [one, other] = threads(world);
  const link = asThreads(one, other);
  const { away } = homeOf('/a', one, other);
  const middle = gate();
  const body = Buffer.from(Array.from({ length: 90_000 }, (_, i) => i % 251));
  const answer = { cacheControl: 'max-age=60', etag: '"1"', body };
  origin.answers('/a', { ...answer, pausesAt: { bytes: 30_000, gate: middle } }, answer);
  const client = away.get('/a');
  await middle.reached();
  await away.get('/a', { Range: 'bytes=0-29999' }).sees({ status: 206 });
  link.dies();
  await client.sees({ status: 200, body });
  origin.saw('GET /a', 'GET /a range bytes=30000- if-range "1"');
  middle.open();
});

scenario(
  'the threads of a node have as many refreshes under way as the site may',
  { ...TWO, site: { cache: { maxRefreshes: 2 } } },
  async (world) => {
    const { origin, clock, gate } = world;
    const [one, other] = threads(world);
    asThreads(one, other);
    const hung = gate();
    const answer = { cacheControl: 'max-age=10, stale-while-revalidate=600', body: 'old' };
    const targets = Array.from({ length: 6 }, (_, i) => `/${i}`);
    for (const target of targets) {
      origin.answers(target, answer, { ...answer, waitsFor: hung });
      await one.get(target).sees({ body: 'old' });
      await other.get(target).sees({ body: 'old' });
    }
    clock.advance('11s');
    const before = origin.requests;
    for (const thread of [one, other]) {
      for (const target of targets) await thread.get(target).sees({ body: 'old' });
    }
    await hung.reached();
    expect(origin.requests - before).toBeLessThanOrEqual(2);
    expect(one.node.engine.counters.refreshesSkipped).toBeGreaterThan(0);
    hung.open();
    await until(() => fills(one) === 0 && fills(other) === 0);
  },
);

scenario('a failure that one thread met is not met again by the other', TWO, async (world) => {
  const { origin } = world;
  const [one, other] = threads(world);
  asThreads(one, other);
  const { away, home } = homeOf('/a', one, other);
  await origin.down();
  await away.get('/a').sees({ status: 502, edge: 'upstream-unreachable' });
  expect(away.node.load().upstreamRequests).toBe(0);
  expect(home.node.load().upstreamRequests).toBe(1);
});

scenario('a client that leaves ends what nobody keeps, in both threads', TWO, async (world) => {
  const { origin, gate } = world;
  const [one, other] = threads(world);
  asThreads(one, other);
  const { away, home } = homeOf('/me', one, other);
  const middle = gate();
  origin.answers('/me', {
    cacheControl: 'no-store',
    body: Buffer.alloc(200_000),
    pausesAt: { bytes: 100_000, gate: middle },
  });
  const { request } = await import('node:http');
  const { hostname, port } = new URL(away.url);
  const headers = { Host: 'www.example.org' };
  const leaving = request({ host: hostname, port, path: '/me', headers, agent: false });
  const begun = new Promise((resolve) => void leaving.once('response', resolve));
  leaving.once('error', () => undefined);
  leaving.end();
  await begun;
  leaving.destroy();
  await until(() => fills(away) === 0 && fills(home) === 0);
  middle.open();
});

scenario('a large object that crosses between threads is fetched once', TWO, async (world) => {
  const { origin } = world;
  const [one, other] = threads(world);
  asThreads(one, other);
  const { away, home } = homeOf('/film', one, other);
  const body = Buffer.alloc(9 * 1024 * 1024, 'abcdefghijk');
  origin.answers('/film', { cacheControl: 'max-age=60', etag: '"1"', body });
  const seen = await away.get('/film').sees({ status: 200 });
  expect(seen.body.equals(body)).toBe(true);
  origin.saw('GET /film');
  await away
    .get('/film', { Range: 'bytes=5000000-5000009' })
    .sees({ status: 206, edge: 'partial' });
  await home.get('/film', { Range: 'bytes=7000000-7000009' }).sees({ status: 206, edge: 'fresh' });
  origin.saw();
});

withRawOrigin(
  'hints pass between threads ahead of the answer',
  (socket) =>
    socket.write(
      'HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n' +
        'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nCache-Control: max-age=60\r\n\r\nok',
    ),
  async (world, origin) => {
    const [one, other] = threads(world);
    asThreads(one, other);
    const { away } = homeOf('/a', one, other);
    const get = 'GET /a HTTP/1.1\r\nHost: www.example.org\r\n\r\n';
    const client = new RawClient(away.url).send(get);
    expect(await client.answer()).toMatchObject({
      status: 103,
      headers: { link: '</a.css>; rel=preload' },
    });
    expect(await client.answer()).toMatchObject({ status: 200, body: 'ok' });
    expect(away.node.engine.counters.fromSiblings).toBe(1);
    expect(await client.send(get).answer()).toMatchObject({ status: 200 });
    client.socket.destroy();
    expect(origin.requests).toHaveLength(1);
  },
  TWO,
);
