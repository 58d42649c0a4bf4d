import { expect } from 'vitest';
import { scenario } from './kit/scenario.ts';

const fresh = { cacheControl: 'max-age=3600' };

scenario('one purge of a URL is enough', { edges: ['oslo', 'rome'] }, async (world) => {
  const { origin, edge, purge } = world;
  origin.answers('/a', { ...fresh, body: 'old' });
  await edge('oslo').get('/a').sees({ body: 'old' });
  await edge('rome').get('/a').sees({ body: 'old' });
  origin.answers('/a', { ...fresh, body: 'new' });
  const reports = purge(['/a']);
  expect(reports.get('frankfurt')).toMatchObject({ objects: 1 });
  expect(reports.get('oslo')).toMatchObject({ objects: 1 });
  await edge('oslo').get('/a').sees({ edge: 'uri-miss', body: 'new' });
  await edge('rome').get('/a').sees({ body: 'new' });
});

scenario('a purge of a site spares nothing of it', async ({ origin, edge, purge }) => {
  origin.answers('/a', { ...fresh, body: 'old a' });
  origin.answers('/b', { ...fresh, body: 'old b' });
  await edge().get('/a').sees({ status: 200 });
  await edge().get('/b').sees({ status: 200 });
  origin.answers('/a', { ...fresh, body: 'new a' });
  origin.answers('/b', { ...fresh, body: 'new b' });
  expect(purge('everything').get('oslo')).toMatchObject({ objects: 2 });
  await edge().get('/a').sees({ body: 'new a' });
  await edge().get('/b').sees({ body: 'new b' });
});

scenario('a purge takes every variant of a URL', async ({ origin, edge, purge }) => {
  const vary = { ...fresh, fields: { Vary: 'Accept-Language' } };
  origin.answers('/a', { ...vary, body: 'hei' }, { ...vary, body: 'ciao' });
  await edge().get('/a', { 'Accept-Language': 'no' }).sees({ body: 'hei' });
  await edge().get('/a', { 'Accept-Language': 'it' }).sees({ body: 'ciao' });
  expect(purge(['/a']).get('oslo')).toMatchObject({ objects: 2 });
});

scenario('a URL is purged under every spelling of it', async ({ origin, edge, purge }) => {
  origin.answers('/a~b', { ...fresh, body: 'old' });
  await edge().get('/x/../a%7Eb').sees({ body: 'old' });
  origin.answers('/a~b', { ...fresh, body: 'new' });
  purge(['/%61~b']);
  await edge().get('/a~b').sees({ edge: 'uri-miss', body: 'new' });
});

scenario(
  'a fill that began before a purge is not stored',
  async ({ origin, edge, purge, gate }) => {
    const slow = gate();
    origin.answers('/a', { ...fresh, body: 'old', waitsFor: slow });
    const early = edge().get('/a');
    await slow.reached();
    expect(purge(['/a']).get('oslo')).toMatchObject({ objects: 0, fills: 1 });
    origin.answers('/a', { ...fresh, body: 'new' });
    const late = edge().get('/a');
    await late.sees({ edge: 'uri-miss', midTier: 'uri-miss', body: 'new' });
    slow.open();
    await early.sees({ body: 'old' });
    await edge().get('/a').sees({ edge: 'fresh', body: 'new' });
  },
);

scenario(
  'a fill under way is fenced by a purge of its site',
  async ({ origin, edge, purge, gate }) => {
    const slow = gate();
    origin.answers('/a', { ...fresh, body: 'old', waitsFor: slow });
    const early = edge().get('/a');
    await slow.reached();
    purge('everything');
    slow.open();
    await early.sees({ body: 'old' });
    origin.answers('/a', { ...fresh, body: 'new' });
    await edge().get('/a').sees({ body: 'new' });
  },
);

scenario(
  'an edge is not refilled by a mid-tier that lags',
  async ({ origin, edge, midTier, purge, clock }) => {
    origin.answers('/a', { ...fresh, body: 'old' });
    await edge().get('/a').sees({ body: 'old' });
    origin.answers('/a', { ...fresh, body: 'new' });
    midTier().lags();
    purge(['/a']);
    const asked = edge().get('/a');
    // The mid-tier waits briefly for its own link, then goes upward.
    await untilAsked(midTier().node, () => clock.advance('1ms'));
    await asked.sees({ edge: 'uri-miss', midTier: 'fence-behind', body: 'new' });
    midTier().catchesUp();
    await edge().get('/a').sees({ edge: 'fresh', body: 'new' });
  },
);

scenario(
  'what a mid-tier that lags had begun to fetch is no answer to an edge that has heard of the purge',
  { edges: ['oslo', 'rome'] },
  async ({ origin, edge, midTier, purge, gate, clock }) => {
    const slow = gate();
    origin.answers('/a', { ...fresh, body: 'old', waitsFor: slow }, { ...fresh, body: 'new' });
    const early = edge('rome').get('/a');
    await slow.reached();
    midTier().lags();
    purge(['/a']);
    const asked = edge('oslo').get('/a');
    await untilAsked(midTier().node, () => clock.advance('1ms'));
    await asked.sees({ body: 'new' });
    slow.open();
    await early.sees({ body: 'old' });
  },
);

scenario('a mid-tier that catches up in time answers from its cache', async (world) => {
  const { origin, edge, midTier, purge } = world;
  origin.answers('/a', { ...fresh, body: 'a' });
  origin.answers('/b', { ...fresh, body: 'b' });
  await edge('oslo').get('/a').sees({ body: 'a' });
  midTier().lags();
  purge(['/b', '/a']);
  const asked = edge().get('/b');
  midTier().catchesUp();
  await asked.sees({ midTier: 'uri-miss', body: 'b' });
});

scenario(
  'a soft purge cannot poison an edge through the mid-tier',
  { site: { cache: { staleWhileRevalidateSeconds: 600 } } },
  async ({ origin, edge, purge }) => {
    origin.answers('/a', { ...fresh, etag: '"1"', body: 'old' });
    await edge().get('/a').sees({ body: 'old' });
    origin.answers('/a', { ...fresh, etag: '"2"', body: 'new' });
    purge(['/a'], 'soft');
    // The edge's own stale copy may bridge; what refreshes it may not come from before the purge.
    const { body } = await edge().get('/a').sees({ edge: 'stale-while-revalidate' });
    expect(body.toString()).toBe('old');
    await expect
      .poll(async () => (await edge().get('/a')).body.toString(), { interval: 5 })
      .toBe('new');
    origin.saw('GET /a', 'GET /a if-none-match "1"');
  },
);

scenario(
  'soft-purged content stands in when the origin is gone',
  async ({ origin, edge, purge }) => {
    origin.answers('/a', { ...fresh, body: 'old' });
    await edge().get('/a').sees({ body: 'old' });
    await origin.down();
    purge('everything', 'soft');
    await edge().get('/a').sees({ status: 200, edge: 'stale-if-error', body: 'old' });
  },
);

scenario('hard-purged content is gone, origin or not', async ({ origin, edge, purge }) => {
  origin.answers('/a', { ...fresh, body: 'old' });
  await edge().get('/a').sees({ body: 'old' });
  await origin.down();
  purge(['/a']);
  await edge().get('/a').sees({ status: 502, edge: 'upstream-unreachable' });
});

scenario('a node past its lease serves on and says so', async ({ origin, edge }) => {
  origin.answers('/a', { ...fresh, body: 'a' });
  await edge().get('/a').sees({ status: 200 });
  edge().losesLease();
  await edge().get('/a').sees({ edge: 'fresh-lease-ended' });
});

scenario(
  'a node past its lease revalidates where the site wants that',
  { site: { onLeaseEnd: 'revalidate' } },
  async ({ origin, edge }) => {
    origin.answers('/a', { ...fresh, etag: '"1"', body: 'a' });
    await edge().get('/a').sees({ status: 200 });
    edge().losesLease();
    await edge().get('/a').sees({ edge: 'lease-ended', midTier: 'fresh', body: 'a' });
  },
);

scenario(
  'a site that is deleted leaves nothing to its successor',
  async ({ origin, edge, publish, changeSite }) => {
    origin.answers('/a', { ...fresh, body: 'of the old site' });
    await edge().get('/a').sees({ status: 200 });
    publish({ type: 'site.delete', name: 'site' });
    await edge().get('/a').sees({ status: 421, edge: 'unknown-host' });
    changeSite({});
    origin.answers('/a', { ...fresh, body: 'of the new site' });
    await edge().get('/a').sees({ body: 'of the new site' });
  },
);

/** Moves the clock each turn until the mid-tier has answered one request more. */
async function untilAsked(
  node: { counters: { requests: number } },
  advance: () => void,
): Promise<void> {
  const before = node.counters.requests;
  while (node.counters.requests === before) {
    await new Promise((resolve) => setImmediate(resolve));
    advance();
  }
}
