import { expect } from 'vitest';
import { scenario } from './kit/scenario.ts';

const fresh = { cacheControl: 'max-age=3600' };
const TWO_SHIELDS = { midTiers: ['frankfurt', 'london'] };

scenario(
  'with every mid-tier dead the edge goes to the origin itself',
  TWO_SHIELDS,
  async (world) => {
    const { origin, edge, midTier } = world;
    origin.answers('/a', { ...fresh, body: 'a' });
    await midTier('frankfurt').down();
    await edge().get('/a').sees({ status: 200, body: 'a' });
    await midTier('london').down();
    origin.answers('/b', { ...fresh, body: 'b' });
    await edge().get('/b').sees({ status: 200, midTier: null, body: 'b' });
  },
);

scenario(
  'the next origin server is asked when the first is dead',
  { origins: 2 },
  async (world) => {
    const { origins, edge } = world;
    const [first, second] = origins;
    await first?.down();
    second?.answers('/a', { ...fresh, body: 'from the second' });
    await edge().get('/a').sees({ status: 200, body: 'from the second' });
  },
);

scenario(
  'the next origin server is asked when the first is unwell',
  { origins: 2 },
  async (world) => {
    const { origins, edge } = world;
    const [first, second] = origins;
    first?.answers('/a', { status: 503 });
    second?.answers('/a', { ...fresh, body: 'well' });
    await edge().get('/a').sees({ status: 200, body: 'well' });
  },
);

scenario('stale content stands in for a dead origin', async (world) => {
  const { origin, edge, midTier, clock } = world;
  origin.answers('/a', { cacheControl: 'max-age=10', body: 'kept' });
  await edge().get('/a').sees({ status: 200 });
  await origin.down();
  clock.advance('1h');
  await edge().get('/a').sees({ status: 200, midTier: 'stale-if-error', body: 'kept' });
  await midTier().down();
  await edge().get('/a').sees({ status: 200, edge: 'stale-if-error', body: 'kept' });
});

scenario(
  'stale content is not served where the origin forbids it',
  async ({ origin, edge, clock }) => {
    origin.answers('/a', { cacheControl: 'max-age=10, must-revalidate', body: 'kept' });
    await edge().get('/a').sees({ status: 200 });
    await origin.down();
    clock.advance('11s');
    await edge().get('/a').sees({ status: 502, edge: 'upstream-unreachable' });
  },
);

scenario('a server error does not replace good content', async ({ origin, edge, clock }) => {
  origin.answers('/a', { cacheControl: 'max-age=10', body: 'good' });
  await edge().get('/a').sees({ status: 200 });
  origin.answers('/a', { status: 500, body: 'bad' });
  clock.advance('11s');
  await edge().get('/a').sees({ status: 200, midTier: 'stale-if-error', body: 'good' });
});

scenario(
  'an error of the origin reaches the client where nothing is stored',
  async ({ origin, edge }) => {
    origin.answers('/a', { status: 500, body: 'broken' });
    await edge().get('/a').sees({ status: 500, body: 'broken' });
  },
);

scenario('a hanging origin costs its time-out once', { midTiers: [] }, async (world) => {
  const { origin, edge, clock, gate } = world;
  const never = gate();
  origin.answers('/a', { ...fresh, waitsFor: never });
  const asked = edge().get('/a');
  await never.reached();
  clock.advance('11s');
  await asked.sees({ status: 504, edge: 'upstream-timeout' });
  never.open();
});

scenario('a transfer that breaks is continued unseen', { origins: 2 }, async (world) => {
  const { origins, edge } = world;
  const [first, second] = origins;
  const body = Buffer.from(Array.from({ length: 90_000 }, (_, i) => i % 251));
  first?.answers('/film', { ...fresh, etag: '"1"', body, breaksAfter: 30_000 }, { status: 503 });
  second?.answers('/film', { ...fresh, etag: '"1"', body });
  await edge().get('/film').sees({ status: 200, body });
  expect((await edge().get('/film')).body.equals(body)).toBe(true);
});

scenario(
  'a continuation of another version is refused',
  { origins: 2 },
  async ({ origins, edge }) => {
    const [first, second] = origins;
    first?.answers(
      '/film',
      { ...fresh, etag: '"1"', body: 'a'.repeat(9000), breaksAfter: 5000 },
      { status: 503 },
    );
    second?.answers('/film', { ...fresh, etag: '"2"', body: 'b'.repeat(9000) });
    await edge().get('/film').breaksOff();
  },
);

scenario(
  'a mid-tier that dies during a transfer is replaced unseen',
  TWO_SHIELDS,
  async (world) => {
    const { origin, edge, midTier, gate } = world;
    const middle = gate();
    const body = Buffer.alloc(150_000, 'film');
    origin.answers(
      '/film',
      { ...fresh, etag: '"1"', body, pausesAt: { bytes: 60_000, gate: middle } },
      { ...fresh, etag: '"1"', body },
    );
    const watching = edge().get('/film');
    await middle.reached();
    const busy = ['frankfurt', 'london'].find(
      (name) => midTier(name).node.load().upstreamRequests > 0,
    );
    await midTier(busy).down();
    middle.open();
    await watching.sees({ status: 200, body });
  },
);

scenario('only nodes of the network are served by a mid-tier', async ({ midTier }) => {
  const { body } = await midTier().get('/a').sees({ status: 403 });
  expect(JSON.parse(body.toString())).toMatchObject({ code: 'forbidden', side: 'client' });
});

scenario('fields between tiers are not taken from clients', async ({ origin, edge }) => {
  origin.answers('/a', {
    ...fresh,
    fields: { 'Canopy-Error': 'forbidden', 'Canopy-Fence': '999' },
  });
  const { headers } = await edge().get('/a', { 'Canopy-Fence': '999' }).sees({ status: 200 });
  expect(Object.keys(headers).filter((name) => name.startsWith('canopy-'))).toEqual([]);
});

scenario(
  'a request that comes around is stopped',
  async ({ origin, edge, publish, changeSite }) => {
    void origin;
    void publish;
    changeSite({ origin: { kind: 'pull', servers: [{ url: edge().url }], hostHeader: 'client' } });
    await edge().get('/a').sees({ status: 508 });
  },
);

scenario('content goes up and its answer comes back', async ({ origin, edge }) => {
  origin.answersTo('PUT /upload', { status: 201 });
  const content = 'z'.repeat(300_000);
  await edge().send('/upload', { method: 'PUT', content }).sees({ status: 201, body: content });
});

scenario(
  'a request that may not be repeated is sent once',
  { origins: 2 },
  async ({ origins, edge }) => {
    const [first, second] = origins;
    first?.answersTo('POST /pay', { status: 503, body: 'try later' });
    await edge()
      .send('/pay', { method: 'POST', content: '1' })
      .sees({ status: 503, body: 'try later' });
    second?.saw();
  },
);

scenario(
  'a transfer without validator is continued where it began the same',
  { origins: 2 },
  async ({ origins, edge }) => {
    const [first, second] = origins;
    const body = Buffer.from(Array.from({ length: 90_000 }, (_, i) => i % 251));
    first?.answers('/film', { ...fresh, body, breaksAfter: 30_000 }, { status: 503 });
    second?.answers('/film', { ...fresh, body });
    await edge().get('/film').sees({ status: 200, body });
  },
);

scenario(
  'a transfer without validator is cut where the other began otherwise',
  { origins: 2 },
  async ({ origins, edge }) => {
    const [first, second] = origins;
    const body = 'a'.repeat(9000);
    first?.answers('/film', { ...fresh, body, breaksAfter: 5000 }, { status: 503 });
    second?.answers('/film', { ...fresh, body: `b${body.slice(1)}` });
    await edge().get('/film').breaksOff();
  },
);

scenario(
  'a server that breaks off every time is not asked over and over',
  { origins: 2, midTiers: ['frankfurt', 'london'] },
  async ({ origins, edge }) => {
    const [first, second] = origins;
    const body = 'film'.repeat(9000);
    first?.answers('/film', { ...fresh, body, breaksAfter: 12_000 });
    second?.answers('/film', { ...fresh, body });
    await edge().get('/film').sees({ status: 200, body });
    first?.saw('GET /film');
    second?.saw('GET /film');
  },
);

scenario('a body that every server breaks off is given up soon', TWO_SHIELDS, async (world) => {
  const { origin, edge } = world;
  origin.answers('/film', { ...fresh, body: 'film'.repeat(9000), breaksAfter: 12_000 });
  await edge().get('/film').breaksOff();
  expect(origin.requests).toBeLessThanOrEqual(8);
});

scenario('what a mid-tier waited for in vain is not waited for again', async (world) => {
  const { origin, edge, clock, gate } = world;
  const never = gate();
  origin.answers('/a', { ...fresh, waitsFor: never });
  const asked = edge().get('/a');
  await never.reached();
  clock.advance('11s');
  await asked.sees({ status: 504, edge: 'upstream-timeout' });
  expect(origin.requests).toBe(1);
  never.open();
});
