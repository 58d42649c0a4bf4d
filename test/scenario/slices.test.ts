import { type IncomingMessage, request } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { expect } from 'vitest';
import { answer, asked, film, LARGE, part, range, SIZE, SLICE_BYTES, SLICES } from './kit/film.ts';
import { scenario } from './kit/scenario.ts';

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

scenario('a large object is read whole and kept in slices', LARGE, async ({ origin, edge }) => {
  origin.answers('/film', answer());
  await edge().get('/film').sees({ status: 200, edge: 'uri-miss', body: film() });
  origin.saw('GET /film');
  expect(edge().node.load().objects).toBe(SLICES + 1);
  const { headers } = await edge()
    .get('/film')
    .sees({ status: 200, edge: 'fresh', midTier: null, body: film() });
  expect(headers['content-length']).toBe(String(SIZE));
  origin.saw();
});

scenario(
  'an object past maxObjectBytes is kept in slices',
  {
    site: { cache: { ...LARGE.site.cache, maxObjectBytes: 5000 } },
  },
  async ({ origin, edge }) => {
    origin.answers('/film', answer());
    await edge().get('/film').sees({ body: film() });
    await edge().get('/film').sees({ edge: 'fresh', body: film() });
    origin.saw('GET /film');
  },
);

scenario('a first range far in fetches only its slice', LARGE, async ({ origin, edge }) => {
  origin.answers('/film', answer());
  await edge()
    .get('/film', range(40_000, 40_099))
    .sees({ ...part(40_000, 40_099), edge: 'uri-miss' });
  origin.saw('GET /film range bytes=36864-40959');
  await edge()
    .get('/film', range(40_100, 40_199))
    .sees({ ...part(40_100, 40_199), edge: 'fresh' });
  origin.saw();
});

scenario('a suffix range learns the size first', LARGE, async ({ origin, edge }) => {
  origin.answers('/film', answer());
  await edge()
    .get('/film', { Range: 'bytes=-50' })
    .sees(part(SIZE - 50, SIZE - 1));
  origin.saw('GET /film range bytes=-50', asked(SLICES - 1));
});

scenario('seeking back and forth fetches each slice once', LARGE, async ({ origin, edge }) => {
  origin.answers('/film', answer());
  await edge().get('/film', range(60_000, 60_009)).sees(part(60_000, 60_009));
  await edge()
    .get('/film', range(20_000, 20_009))
    .sees({ ...part(20_000, 20_009), edge: 'partial' });
  await edge()
    .get('/film', range(60_500, 60_509))
    .sees({ ...part(60_500, 60_509), edge: 'fresh' });
  await edge()
    .get('/film', range(20_010, 20_019))
    .sees({ ...part(20_010, 20_019), edge: 'fresh' });
  origin.saw('GET /film range bytes=57344-61439', asked(4));
});

scenario('a slice that had to be fetched is said to be', LARGE, async ({ origin, edge }) => {
  origin.answers('/film', answer());
  await edge().get('/film', range(60_000, 60_009));
  const { tiers } = await edge().get('/film', range(20_000, 20_009));
  expect(tiers.at(-1)?.parameters).toMatchObject({
    fwd: 'partial',
    'fwd-status': '206',
    stored: true,
  });
});

scenario('a download is resumed', LARGE, async ({ origin, edge }) => {
  origin.answers('/film', answer());
  await edge().get('/film', range(0, 9)).sees(part(0, 9));
  await edge()
    .get('/film', { ...range(50_000), 'If-Range': '"1"' })
    .sees(part(50_000, SIZE - 1));
  await edge()
    .get('/film', { ...range(50_000), 'If-Range': '"0"' })
    .sees({ status: 200, body: film() });
  await edge().get('/film', range(SIZE)).sees({ status: 416 });
});

scenario('clients at different offsets share slices', LARGE, async ({ origin, edge, gate }) => {
  const slow = gate();
  origin.answers('/film', answer());
  await edge().get('/film', range(70_000, 70_009));
  origin.saw('GET /film range bytes=69632-73727');
  origin.answers('/film', { ...answer(), waitsFor: slow });
  const starts = [41_000, 41_500, 42_000, 30_000, 30_500];
  const clients = starts.map((start) => edge().get('/film', range(start, start + 99)));
  await slow.reached(2);
  slow.open();
  for (const [i, start] of starts.entries()) await clients[i]?.sees(part(start, start + 99));
  expect(edge().node.load().upstreamRequests).toBe(3);
});

scenario('who joins a slice on its way gets at once what has come', LARGE, async (world) => {
  const { origin, edge, gate } = world;
  const middle = gate();
  origin.answers('/film', answer());
  await edge().get('/film', range(40_000, 40_009)).sees(part(40_000, 40_009));
  origin.answers('/film', { ...answer(), pausesAt: { bytes: 1000, gate: middle } });
  for (const _ of [1, 2]) {
    await edge().get('/film', range(20_480, 21_479)).sees(part(20_480, 21_479));
  }
  middle.open();
  await edge().get('/film', range(20_480, 24_575)).sees(part(20_480, 24_575));
  origin.saw('GET /film range bytes=36864-40959', asked(5));
});

scenario(
  'cold clients at different offsets share one object',
  LARGE,
  async ({ origin, edge, gate }) => {
    const slow = gate();
    origin.answers('/film', { ...answer(), waitsFor: slow });
    const starts = [41_000, 60_000, 20_000];
    const clients = starts.map((start) => edge().get('/film', range(start, start + 99)));
    await slow.reached();
    slow.open();
    for (const [i, start] of starts.entries()) await clients[i]?.sees(part(start, start + 99));
    expect(edge().node.load().upstreamRequests).toBe(3);
  },
);

scenario('a new version before the first byte is served whole', LARGE, async ({ origin, edge }) => {
  origin.answers('/film', answer());
  await edge().get('/film', range(60_000, 60_009)).sees(part(60_000, 60_009));
  origin.answers('/film', answer(2));
  await edge()
    .get('/film', range(20_000, 20_009))
    .sees(part(20_000, 20_009, 2));
  await edge()
    .get('/film', range(60_000, 60_009))
    .sees(part(60_000, 60_009, 2));
});

scenario(
  'a new version in the middle cuts the answer, and is next',
  LARGE,
  async ({ origin, edge }) => {
    origin.answers('/film', answer());
    await edge().get('/film', range(20_480, 24_575)).sees(part(20_480, 24_575));
    origin.answers('/film', answer(2));
    await edge().get('/film', range(20_480)).breaksOff();
    await edge()
      .get('/film')
      .sees({ status: 200, body: film(2), headers: { etag: '"2"' } });
  },
);

scenario('an origin without ranges is read through', LARGE, async ({ origin, edge }) => {
  origin.answers('/film', { ...answer(), ranges: false });
  await edge().get('/film', range(40_000, 40_099)).sees(part(40_000, 40_099));
  await edge()
    .get('/film', range(10_000, 10_099))
    .sees({ ...part(10_000, 10_099), edge: 'partial' });
  origin.saw('GET /film range bytes=36864-40959');
  await edge().get('/film').sees({ status: 200, body: film() });
});

scenario('HEAD and conditions are answered from the manifest', LARGE, async ({ origin, edge }) => {
  origin.answers('/film', answer());
  await edge().get('/film', range(40_000, 40_009));
  const headers = { 'content-length': String(SIZE), etag: '"1"' };
  await edge().send('/film', { method: 'HEAD' }).sees({ status: 200, edge: 'fresh', headers });
  await edge().get('/film', { 'If-None-Match': '"1"' }).sees({ status: 304, edge: 'fresh' });
  await edge().get('/film', { 'If-Match': '"2"' }).sees({ status: 412, edge: 'fresh' });
  expect(edge().node.load().upstreamRequests).toBe(1);
});

scenario('a validated object keeps its slices', LARGE, async ({ origin, edge, clock }) => {
  origin.answers('/film', answer());
  await edge().get('/film', range(40_000, 40_009)).sees(part(40_000, 40_009));
  clock.advance('61s');
  await edge()
    .get('/film', range(40_000, 40_009))
    .sees({ ...part(40_000, 40_009), edge: 'stale' });
  await edge()
    .get('/film', range(40_010, 40_019))
    .sees({ ...part(40_010, 40_019), edge: 'fresh' });
  origin.saw('GET /film range bytes=36864-40959', 'GET /film if-none-match "1"');
});

scenario('a purge of the URL takes every slice', LARGE, async ({ origin, edge, purge }) => {
  origin.answers('/film', answer());
  await edge().get('/film').sees({ body: film() });
  // The same validator: not even then may what was purged come back.
  origin.answers('/film', { ...answer(2), etag: '"1"' });
  expect(purge(['/film']).get('oslo')).toMatchObject({ objects: 1 });
  await edge()
    .get('/film')
    .sees({ status: 200, edge: 'uri-miss', body: film(2) });
  purge('everything');
  origin.answers('/film', answer(3));
  await edge()
    .get('/film')
    .sees({ status: 200, body: film(3) });
});

scenario('who reads while it is purged gets one version', LARGE, async (world) => {
  const { origin, edge, purge, gate } = world;
  const middle = gate();
  origin.answers('/film', { ...answer(), pausesAt: { bytes: 30_000, gate: middle } });
  const reading = edge().get('/film');
  await middle.reached();
  purge(['/film']);
  origin.answers('/film', answer(2));
  await edge()
    .get('/film')
    .sees({ status: 200, body: film(2) });
  middle.open();
  await reading.sees({ status: 200, body: film() });
  await edge()
    .get('/film')
    .sees({ edge: 'fresh', body: film(2) });
});

scenario(
  'a slice that breaks off is continued from the next parent',
  {
    ...LARGE,
    origins: 2,
  },
  async ({ origins, edge }) => {
    const [first, second] = origins;
    first?.answers('/film', answer(), { ...answer(), breaksAfter: 1000 }, { status: 503 });
    second?.answers('/film', answer());
    await edge().get('/film', range(60_000, 60_009)).sees(part(60_000, 60_009));
    await edge().get('/film', range(20_480, 24_575)).sees(part(20_480, 24_575));
    second?.saw('GET /film range bytes=21480-24575 if-range "1"');
  },
);

scenario('a slice that cannot be completed is not stored', LARGE, async ({ origin, edge }) => {
  origin.answers('/film', answer());
  await edge().get('/film', range(60_000, 60_009));
  const { objects } = edge().node.load();
  origin.answers('/film', { ...answer(), breaksAfter: 0 });
  await edge().get('/film', range(20_480, 24_575)).sees({ status: 502 });
  origin.answers('/film', { ...answer(), breaksAfter: 1000 }, { status: 503 });
  await edge().get('/film', range(20_480, 24_575)).breaksOff();
  expect(edge().node.load().objects).toBe(objects);
  origin.answers('/film', answer());
  await edge().get('/film', range(20_480, 24_575)).sees(part(20_480, 24_575));
});

scenario('a weak validator does not allow slices', LARGE, async ({ origin, edge }) => {
  origin.answers('/film', { ...answer(), etag: 'W/"1"' });
  await edge().get('/film', range(40_000, 40_099)).sees(part(40_000, 40_099));
  await edge().get('/film').sees({ edge: 'fresh', body: film() });
  expect(edge().node.load().objects).toBe(1);
});

scenario(
  'a cache smaller than the object streams it all the same',
  {
    ...LARGE,
    memoryBytes: 5 * SLICE_BYTES,
  },
  async ({ origin, edge }) => {
    origin.answers('/film', answer());
    await edge().get('/film').sees({ status: 200, body: film() });
    await edge().get('/film').sees({ status: 200, body: film() });
    await edge()
      .get('/film', range(30_000))
      .sees(part(30_000, SIZE - 1));
    expect(edge().memoryBytes).toBeLessThanOrEqual(5 * SLICE_BYTES);
  },
);

scenario(
  'edges share the slices of the mid-tier',
  { ...LARGE, edges: ['oslo', 'rome'] },
  async ({ origin, edge }) => {
    origin.answers('/film', answer());
    await edge('oslo').get('/film', range(40_000, 49_999)).sees(part(40_000, 49_999));
    origin.saw('GET /film range bytes=36864-40959', asked(10), asked(11), asked(12));
    await edge('rome').get('/film', range(45_000, 49_999)).sees(part(45_000, 49_999));
    origin.saw();
  },
);

scenario('many cold clients make one request', LARGE, async ({ origin, edge, gate }) => {
  const slow = gate();
  origin.answers('/film', { ...answer(), waitsFor: slow });
  const clients = Array.from({ length: 30 }, () => edge().get('/film'));
  await slow.reached();
  slow.open();
  for (const client of clients) await client.sees({ status: 200, body: film() });
  origin.saw('GET /film');
});

scenario('what nobody reads on is not fetched on', { ...LARGE, midTiers: [] }, async (world) => {
  const { origin, edge } = world;
  origin.answers('/film', answer());
  await edge().get('/film', range(0, 9)).sees(part(0, 9));
  origin.saw('GET /film');
  await edge().get('/film', range(50_000, 50_009)).sees(part(50_000, 50_009));
  origin.saw(asked(12));
});

scenario('a stale object is served in slices while it is renewed', LARGE, async (world) => {
  const { origin, edge, clock } = world;
  const cacheControl = 'max-age=60, stale-while-revalidate=60';
  origin.answers('/film', { ...answer(), cacheControl });
  await edge().get('/film').sees({ body: film() });
  clock.advance('70s');
  await edge().get('/film').sees({ edge: 'stale-while-revalidate', body: film() });
});

scenario('a large object stands in when the origin is gone', LARGE, async (world) => {
  const { origin, edge, midTier, clock } = world;
  origin.answers('/film', answer());
  await edge().get('/film').sees({ body: film() });
  clock.advance('1h');
  await origin.down();
  await midTier().down();
  await edge().get('/film').sees({ edge: 'stale-if-error', body: film() });
});

scenario('a softly purged object is validated with its slices', LARGE, async (world) => {
  const { origin, edge, purge } = world;
  origin.answers('/film', answer());
  await edge().get('/film').sees({ body: film() });
  purge(['/film'], 'soft');
  await edge().get('/film').sees({ edge: 'soft-purged', body: film() });
  origin.saw('GET /film', 'GET /film if-none-match "1"');
});

scenario('an edge that is ahead of its mid-tier gets no old slices', LARGE, async (world) => {
  const { origin, edge, midTier, purge, clock } = world;
  origin.answers('/film', answer());
  await edge().get('/film').sees({ body: film() });
  midTier().lags();
  purge(['/film']);
  origin.answers('/film', { ...answer(2), etag: '"1"' });
  const reading = edge().get('/film');
  // The mid-tier waits briefly for its own link, then goes upward.
  await untilAsked(midTier().node, () => clock.advance('1ms'));
  await reading.sees({ body: film(2) });
});

scenario(
  'a client that does not read holds up nobody, and no memory',
  {
    memoryBytes: 4 * 1024 * 1024,
    site: { cache: { sliceBytes: 256 * 1024, sliceAboveBytes: 1024 * 1024 } },
  },
  async ({ origin, edge }) => {
    const body = Buffer.alloc(16 * 1024 * 1024, 'canopy ');
    origin.answers('/film', { ...answer(), body });
    const { hostname, port } = new URL(edge().url);
    const headers = { Host: 'www.example.org' };
    const slow = await new Promise<IncomingMessage>((resolve, reject) => {
      request({ hostname, port, path: '/film', headers }, resolve).once('error', reject).end();
    });
    const fast = await edge().get('/film');
    expect(fast.body.equals(body)).toBe(true);
    expect(edge().memoryBytes).toBeLessThanOrEqual(4 * 1024 * 1024);
    expect((await buffer(slow)).equals(body)).toBe(true);
  },
);
