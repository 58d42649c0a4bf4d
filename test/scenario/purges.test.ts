import { expect } from 'vitest';
import type { PurgeTarget } from '#core/contract/purge.ts';
import { scenario } from './kit/scenario.ts';
import { until } from './kit/until.ts';

const fresh = { cacheControl: 'max-age=3600' };
const tagged = (...tags: readonly string[]) => ({
  ...fresh,
  fields: { 'Cache-Tag': tags.join(', ') },
});
const HOST = 'www.example.org';

const tags = (...names: string[]): PurgeTarget => ({ kind: 'tags', site: 'site', tags: names });
const prefixes = (...paths: string[]): PurgeTarget => ({
  kind: 'prefixes',
  site: 'site',
  prefixes: paths.map((path) => HOST + path),
});
const everything: PurgeTarget = { kind: 'everything' };

scenario('a prefix is a path and all below it', async ({ origin, edge, purge }) => {
  const paths = ['/a', '/a/', '/a/b?c=d', '/a/b/c', '/ab', '/', '/b/a'];
  for (const path of paths) {
    origin.answers(path, { ...fresh, body: 'old' });
    await edge().get(path).sees({ body: 'old' });
  }
  for (const path of paths) origin.answers(path, { ...fresh, body: 'new' });
  expect(purge(prefixes('/a')).get('oslo')).toMatchObject({ objects: null, bytes: null, fills: 0 });
  const seen = await Promise.all(
    paths.map(async (path) => (await edge().get(path)).body.toString()),
  );
  expect(seen).toEqual(['new', 'new', 'new', 'new', 'old', 'old', 'old']);
});

scenario('a tag takes what carries it, whatever the URL', async (world) => {
  const { origin, edge, midTier, purge } = world;
  origin.answers('/a', { ...tagged('news', 'x'), body: 'old' });
  origin.answers('/b', { ...tagged('x', 'news-2'), body: 'old' });
  for (const path of ['/a', '/b']) await edge().get(path).sees({ body: 'old' });
  origin.answers('/a', { ...tagged('x'), body: 'new' });
  purge(tags('sport', 'news'));
  for (const node of [edge(), midTier()]) await node.stores(1);
  await edge().get('/a').sees({ edge: 'uri-miss', midTier: 'uri-miss', body: 'new' });
  await edge().get('/b').sees({ edge: 'fresh', body: 'old' });
  purge(tags('news'));
  await edge().get('/a').sees({ edge: 'fresh', body: 'new' });
});

scenario(
  'a host is told from others of its site',
  { site: { hosts: [HOST, 'img.example.org'] } },
  async ({ origin, edge, purge }) => {
    origin.answers('/a', { ...fresh, body: 'old' });
    const images = { host: 'img.example.org' };
    await edge().get('/a').sees({ body: 'old' });
    await edge().send('/a', images).sees({ body: 'old' });
    origin.answers('/a', { ...fresh, body: 'new' });
    purge({ kind: 'hosts', site: 'site', hosts: ['img.example.org'] });
    await edge().get('/a').sees({ body: 'old' });
    await edge().send('/a', images).sees({ body: 'new' });
  },
);

scenario('everything is stale after a soft purge of it', async ({ origin, edge, purge }) => {
  origin.answers('/a', { ...fresh, etag: '"1"', body: 'a' });
  await edge().get('/a').sees({ body: 'a' });
  expect(purge(everything, 'soft').get('oslo')).toMatchObject({ objects: 1 });
  await edge().get('/a').sees({ edge: 'soft-purged', midTier: 'soft-purged', body: 'a' });
  origin.saw('GET /a', 'GET /a if-none-match "1"');
  await edge().get('/a').sees({ edge: 'fresh' });
});

scenario('a purge by tag leaves other content stored', async ({ origin, edge, purge, gate }) => {
  const slow = gate();
  origin.answers('/a', { ...tagged('sport'), body: 'a', waitsFor: slow });
  const early = edge().get('/a');
  await slow.reached();
  purge(tags('news'));
  const late = edge().get('/a');
  await until(() => edge().node.engine.underWay.waiters === 2);
  slow.open();
  for (const request of [early, late]) await request.sees({ body: 'a' });
  origin.saw('GET /a');
  await edge().get('/a').sees({ edge: 'fresh' });
});

scenario(
  'a fetch whose tags come after a purge of one is not waited for in vain',
  async ({ origin, edge, purge, gate }) => {
    const slow = gate();
    origin.answers(
      '/a',
      { ...tagged('news'), body: 'old', waitsFor: slow },
      { ...tagged('news'), body: 'new' },
    );
    const early = edge().get('/a');
    await slow.reached();
    purge(tags('news'));
    const late = edge().get('/a');
    await until(() => edge().node.engine.underWay.waiters === 2);
    slow.open();
    await early.sees({ body: 'old' });
    await late.sees({ body: 'new' });
    await edge().get('/a').sees({ edge: 'fresh', body: 'new' });
  },
);

scenario(
  'an edge is not told that what a mid-tier had begun to fetch has heeded a purge by tag',
  async ({ origin, edge, purge, gate }) => {
    const slow = gate();
    origin.answers('/a', { ...tagged('news'), body: 'old', waitsFor: slow });
    edge().lags();
    const early = edge().get('/a');
    await slow.reached();
    purge(tags('news'));
    slow.open();
    await early.sees({ body: 'old' });
    edge().catchesUp();
    origin.answers('/a', { ...tagged('news'), body: 'new' });
    await edge().get('/a').sees({ body: 'new' });
  },
);

scenario(
  'a validation that began before a purge by tag validates nothing',
  async ({ origin, edge, purge, gate, clock }) => {
    const old = { ...tagged('news'), etag: '"1"', cacheControl: 'max-age=10' };
    const slow = gate();
    origin.answers('/a', { ...old, body: 'old' }, { ...old, fields: {}, waitsFor: slow });
    await edge().get('/a').sees({ body: 'old' });
    clock.advance('11s');
    const early = edge().get('/a');
    await slow.reached();
    purge(tags('news'));
    slow.open();
    await early;
    origin.answers('/a', { ...old, etag: '"2"', body: 'new' });
    await edge().get('/a').sees({ body: 'new' });
  },
);

scenario(
  'a large object is purged with its slices',
  { site: { cache: { sliceBytes: 4096, sliceAboveBytes: 8192 } } },
  async ({ origin, edge, purge }) => {
    const large = { ...tagged('film'), ranges: true };
    origin.answers('/film', { ...large, etag: '"1"', body: 'a'.repeat(20_000) });
    await edge()
      .get('/film')
      .sees({ body: 'a'.repeat(20_000) });
    origin.answers('/film', { ...large, etag: '"2"', body: 'b'.repeat(20_000) });
    purge(tags('film'));
    await edge()
      .get('/film')
      .sees({ body: 'b'.repeat(20_000) });
  },
);

scenario('what is published is found where nothing was', async ({ origin, edge, purge }) => {
  for (const path of ['/a', '/b/c']) {
    origin.answers(path, { status: 404, body: 'none' });
    await edge().get(path).sees({ status: 404 });
    await edge().get(path).sees({ status: 404, edge: 'fresh' });
    origin.answers(path, { ...fresh, body: 'there' });
  }
  purge(['/a']);
  await edge().get('/a').sees({ status: 200, body: 'there' });
  purge(prefixes('/b'));
  await edge().get('/b/c').sees({ status: 200, body: 'there' });
});

scenario(
  'what is banned is not stored until the ban is lifted',
  async ({ origin, edge, purge, publish }) => {
    origin.answers('/a', { ...tagged('news'), body: '1' });
    await edge().get('/a').sees({ body: '1' });
    purge(tags('news'), 'ban');
    for (const body of ['2', '3']) {
      origin.answers('/a', { ...tagged('news'), body });
      await edge().get('/a').sees({ body });
    }
    publish({ type: 'ban.lift', id: 'p' });
    await edge().get('/a').sees({ edge: 'uri-miss' });
    await edge().get('/a').sees({ edge: 'fresh', body: '3' });
  },
);

scenario(
  'a ban holds on a node that starts later, and by URL and prefix as well',
  async ({ origin, edge, purge, publish }) => {
    purge(['/a'], 'ban');
    purge(prefixes('/b'), 'ban');
    // Whatever changes the configuration makes a node look at all its bans anew.
    publish({ type: 'node.delete', name: 'none' });
    for (const path of ['/a', '/b/c', '/c']) {
      origin.answers(path, { ...fresh, body: 'x' });
      await edge().get(path).sees({ body: 'x' });
    }
    await edge().get('/a').sees({ edge: 'hit-for-miss' });
    await edge().get('/b/c').sees({ edge: 'hit-for-miss' });
    await edge().get('/c').sees({ edge: 'fresh' });
  },
);

scenario(
  'a site that moves to the own origin leaves nothing for when it moves back',
  async ({ origin, edge, purge, changeSite }) => {
    origin.answers('/a', { ...fresh, body: 'old' });
    await edge().get('/a').sees({ body: 'old' });
    changeSite({ origin: { kind: 'push' } });
    purge(prefixes('/a'));
    changeSite({});
    origin.answers('/a', { ...fresh, body: 'new' });
    await edge().get('/a').sees({ body: 'new' });
  },
);

scenario(
  'after a purge of everything a site is asked for as much per second as it allows',
  { site: { cache: { refillsPerSecond: 2 } } },
  async ({ origin, edge, purge, clock }) => {
    const old = { ...fresh, etag: '"1"', body: 'old' };
    const paths = ['/1', '/2', '/3', '/4'];
    for (const path of paths) {
      origin.answers(path, old);
      await edge().get(path).sees({ body: 'old' });
    }
    const strict = { ...old, cacheControl: 'max-age=3600, must-revalidate' };
    origin.answers('/strict', strict);
    await edge().get('/strict').sees({ body: 'old' });
    purge(everything, 'soft');
    for (const path of paths) origin.answers(path, { ...fresh, body: 'new' });
    origin.answers('/strict', { ...strict, etag: '"2"', body: 'new' });
    const all = () =>
      Promise.all(paths.map(async (path) => (await edge().get(path)).body.toString()));
    expect((await all()).filter((body) => body === 'new')).toHaveLength(2);
    await edge().get('/strict').sees({ body: 'new' });
    expect((await all()).filter((body) => body === 'new')).toHaveLength(2);
    clock.advance('1s');
    expect(await all()).toEqual(['new', 'new', 'new', 'new']);
    expect(edge().node.engine.counters.refillsLimited).toBe(4);
  },
);

scenario(
  'a purge that refreshes fetches what is stored anew, with nobody asking',
  { site: { key: { headers: ['x-tenant'] }, cache: { refillsPerSecond: 2 } } },
  async ({ origin, edge, midTier, purge, clock }) => {
    const variant = (body: string) => ({ ...fresh, fields: { Vary: 'Accept-Language' }, body });
    const requests = [{ 'X-Tenant': 'a' }, { 'X-Tenant': 'b', 'Accept-Language': 'no' }];
    origin.answers('/a?b', variant('old'));
    origin.answers('/c', { ...fresh, body: 'old' });
    for (const headers of requests) await edge().get('/a?b', headers).sees({ body: 'old' });
    await edge().get('/c').sees({ body: 'old' });
    origin.answers('/a?b', variant('new'));
    origin.answers('/c', { ...fresh, body: 'new' });
    origin.saw('GET /a?b', 'GET /a?b', 'GET /c');
    purge({ kind: 'site', site: 'site' }, 'refresh');
    const { sequence } = edge().node.engine.fence;
    const isNew = (node: ReturnType<typeof edge>, key: string, count: number) => {
      const stored = node.node.engine.store.lookup(`site http://${HOST}${key}`);
      return stored.filter(({ asOf }) => asOf >= sequence).length === count;
    };
    const areNew = () =>
      [edge(), midTier()].every((node) => isNew(node, '/a?b', 2) && isNew(node, '/c', 1));
    await until(() => {
      clock.advance('100ms');
      return areNew();
    });
    for (const headers of requests) {
      await edge().get('/a?b', headers).sees({ edge: 'fresh', body: 'new' });
    }
    await edge().get('/c').sees({ edge: 'fresh', body: 'new' });
  },
);

scenario(
  'a node that has lost its lease does not answer from a fetch begun before',
  { midTiers: [], site: { onLeaseEnd: 'revalidate' } },
  async ({ origin, edge, gate }) => {
    const slow = gate();
    origin.answers('/a', { ...fresh, body: 'old', waitsFor: slow }, { ...fresh, body: 'new' });
    const early = edge().get('/a');
    await slow.reached();
    edge().losesLease();
    await edge().get('/a').sees({ body: 'new' });
    slow.open();
    await early.sees({ body: 'old' });
  },
);

scenario(
  'what the own origin holds is one object whatever the query, for stores and for purges',
  { site: { origin: { kind: 'push' } } },
  async ({ origin, edge, publish, purge }) => {
    const location = { name: 'oslo', latitude: 0, longitude: 0 };
    const node = { name: 'origin', tier: 'origin' as const, url: origin.url, location };
    publish({ type: 'node.put', node: { ...node, capacity: 1, draining: false } });
    origin.answers('/a.js', { ...fresh, body: 'old' });
    await edge().get('/a.js?v=1').sees({ body: 'old' });
    await edge().get('/a.js?v=2').sees({ edge: 'fresh', body: 'old' });
    purge(['/a.js']);
    origin.answers('/a.js', { ...fresh, body: 'new' });
    await edge().get('/a.js?v=1').sees({ body: 'new' });
  },
);
