import { expect } from 'vitest';
import { answer, asked, film, LARGE, part, range, SLICES } from './kit/film.ts';
import { scenario, type World } from './kit/scenario.ts';
import { asThreads, homeOf } from './kit/threads.ts';

// The slices of a large object in a node of two threads.

const TWO = { ...LARGE, edges: ['oslo-0', 'oslo-1'], midTiers: [] };
const FIRST = 'GET /film range bytes=36864-40959';

function threads({ edge }: World) {
  const [one, other] = [edge('oslo-0'), edge('oslo-1')];
  const link = asThreads(one, other);
  return { ...homeOf('/film', one, other), link };
}

scenario('each slice is fetched once for all threads', TWO, async (world) => {
  const { origin } = world;
  const { home, away } = threads(world);
  origin.answers('/film', answer());
  await away.get('/film', range(40_000, 40_099)).sees(part(40_000, 40_099));
  await home.get('/film', range(40_100, 40_199)).sees({ ...part(40_100, 40_199), edge: 'fresh' });
  origin.saw(FIRST);
  await home.get('/film', range(20_000, 20_009)).sees(part(20_000, 20_009));
  await away.get('/film', range(20_010, 20_019)).sees({ ...part(20_010, 20_019), edge: 'partial' });
  origin.saw(asked(4));
  await away.get('/film', range(60_000, 69_999)).sees(part(60_000, 69_999));
  await home.get('/film', range(60_000, 69_999)).sees(part(60_000, 69_999));
  origin.saw(asked(14), asked(15), asked(16), asked(17));
  await away.get('/film', { Range: 'bytes=-50' }).sees({ status: 206 });
  origin.saw(asked(SLICES - 1));
});

scenario('threads that want a slice at once make one request', TWO, async (world) => {
  const { origin, gate } = world;
  const { home, away } = threads(world);
  const slow = gate();
  origin.answers('/film', answer());
  for (const thread of [home, away]) await thread.get('/film', range(40_000, 40_009));
  origin.answers('/film', { ...answer(), waitsFor: slow });
  const clients = Array.from({ length: 20 }, (_, i) =>
    (i % 2 === 0 ? home : away).get('/film', range(20_000 + i, 20_100)),
  );
  await slow.reached();
  slow.open();
  for (const [i, client] of clients.entries()) await client.sees(part(20_000 + i, 20_100));
  origin.saw(FIRST, asked(4));
});

scenario(
  'bytes of a slice pass between threads as they arrive',
  { ...TWO, site: { cache: { sliceBytes: 1024 * 1024, sliceAboveBytes: 1024 * 1024 } } },
  async (world) => {
    const { origin, gate } = world;
    const { away } = threads(world);
    const middle = gate();
    const body = Buffer.alloc(4 * 1024 * 1024, 'abcdefg');
    const large = { ...answer(), body };
    origin.answers('/film', large, { ...large, pausesAt: { bytes: 500_000, gate: middle } });
    await away.get('/film', range(3 * 1024 * 1024, 3 * 1024 * 1024 + 9));
    const waiting = away.get('/film', range(2 * 1024 * 1024, 3 * 1024 * 1024 - 1));
    await middle.reached();
    const start = 2 * 1024 * 1024;
    await away
      .get('/film', range(start, start + 99_999))
      .sees({ status: 206, body: body.subarray(start, start + 100_000) });
    middle.open();
    await waiting.sees({ status: 206 });
    expect(origin.requests).toBe(2);
  },
);

scenario(
  'a thread keeps of another’s slices those that are asked for again',
  TWO,
  async (world) => {
    const { origin, clock } = world;
    const { home, away } = threads(world);
    origin.answers('/film', answer());
    await away.get('/film').sees({ status: 200, body: film() });
    expect(home.node.load().objects).toBe(SLICES + 1);
    expect(away.node.load().objects).toBe(1);
    await away.get('/film', range(20_480, 24_575)).sees({ edge: 'partial' });
    await away.get('/film', range(20_480, 24_575)).sees({ edge: 'fresh' });
    expect(away.node.load().objects).toBe(2);
    clock.advance('59s');
    await away.get('/film', range(40_960, 45_055)).sees({ edge: 'partial' });
    expect(away.node.load().objects).toBe(3);
    origin.saw('GET /film');
  },
);

scenario('a slice whose thread dies is fetched from a parent', TWO, async (world) => {
  const { origin, gate } = world;
  const { away, link } = threads(world);
  const middle = gate();
  origin.answers('/film', answer());
  await away.get('/film', range(40_000, 40_009)).sees(part(40_000, 40_009));
  origin.answers('/film', { ...answer(), waitsFor: middle }, answer());
  const waiting = away.get('/film', range(20_000, 20_009));
  await middle.reached();
  link.dies();
  await waiting.sees(part(20_000, 20_009));
  middle.open();
  origin.saw(FIRST, asked(4), asked(4));
});

scenario('a slice that does not come from another thread in time', TWO, async (world) => {
  const { origin, gate, clock } = world;
  const { away } = threads(world);
  const slow = gate();
  origin.answers('/film', answer());
  await away.get('/film', range(40_000, 40_009)).sees(part(40_000, 40_009));
  world.changeSite({ ...TWO.site, cache: { ...TWO.site.cache, waitTimeoutMs: 5000 } });
  origin.answers('/film', { ...answer(), waitsFor: slow }, answer());
  const waiting = away.get('/film', range(20_000, 20_009));
  await slow.reached();
  clock.advance('5s');
  await waiting.sees(part(20_000, 20_009));
  slow.open();
  origin.saw(FIRST, asked(4), asked(4));
});

scenario('a slice that breaks off is not asked for again by every thread', TWO, async (world) => {
  const { origin } = world;
  const { away } = threads(world);
  origin.answers('/film', answer());
  await away.get('/film', range(40_000, 40_009)).sees(part(40_000, 40_009));
  origin.saw(FIRST);
  origin.answers('/film', { ...answer(), breaksAfter: 1000 }, { status: 503 });
  await away.get('/film', range(20_480, 24_575)).breaksOff();
  expect(origin.requests).toBeLessThan(4);
});

scenario(
  'a thread that knows a newer version than the home reads on in that',
  { ...TWO, site: { cache: { ...LARGE.site.cache, honourClientCacheControl: true } } },
  async (world) => {
    const { origin } = world;
    const { home, away } = threads(world);
    origin.answers('/film', answer());
    await home.get('/film').sees({ body: film() });
    origin.answers('/film', answer(2));
    const reload = { 'Cache-Control': 'no-cache' };
    await away.get('/film', { ...range(40_000, 40_009), ...reload }).sees(part(40_000, 40_009, 2));
    await away.get('/film', range(20_000, 30_000)).sees(part(20_000, 30_000, 2));
    await home.get('/film', range(40_000, 40_009)).sees(part(40_000, 40_009));
    await away.get('/film', range(40_000, 50_000)).sees(part(40_000, 50_000, 2));
  },
);

scenario('a new version is learnt by every thread, and never mixed', TWO, async (world) => {
  const { origin } = world;
  const { home, away } = threads(world);
  origin.answers('/film', answer());
  for (const thread of [home, away]) await thread.get('/film', range(40_000, 40_009));
  origin.answers('/film', answer(2));
  await away.get('/film', range(20_000, 20_009)).sees(part(20_000, 20_009, 2));
  await home.get('/film', range(40_000, 60_000)).sees(part(40_000, 60_000, 2));
  await away.get('/film', range(40_000, 60_000)).sees(part(40_000, 60_000, 2));
});

scenario(
  'who reads from another thread while it is purged gets one version',
  TWO,
  async (world) => {
    const { origin, purge, gate } = world;
    const { home, away } = threads(world);
    const middle = gate();
    origin.answers('/film', { ...answer(), pausesAt: { bytes: 30_000, gate: middle } });
    const reading = away.get('/film');
    await middle.reached();
    purge(['/film']);
    origin.answers('/film', answer(2));
    for (const thread of [home, away]) {
      await thread.get('/film').sees({ status: 200, body: film(2) });
    }
    middle.open();
    await reading.sees({ status: 200, body: film() });
    await away.get('/film').sees({ body: film(2) });
  },
);

scenario(
  'RFC 9111 §5.2.1.7: only-if-cached asks no parent for a slice',
  { ...LARGE, site: { cache: { ...LARGE.site.cache, honourClientCacheControl: true } } },
  async ({ origin, edge }) => {
    const only = { 'Cache-Control': 'only-if-cached' };
    origin.answers('/film', answer());
    await edge().get('/film', range(40_000, 40_009));
    origin.saw(FIRST);
    await edge()
      .get('/film', { ...range(40_000, 40_009), ...only })
      .sees({ ...part(40_000, 40_009), edge: 'fresh' });
    await edge()
      .get('/film', { ...range(40_000, 50_000), ...only })
      .sees({ status: 504, edge: 'only-if-cached' });
    await edge().get('/film', only).sees({ status: 504 });
    await edge().send('/film', { method: 'HEAD', headers: only }).sees({ status: 200 });
    await edge().get('/film', range(40_000, 50_000)).sees(part(40_000, 50_000));
    origin.saw(asked(10), asked(11), asked(12));
    await edge()
      .get('/film', { ...range(40_000, 50_000), ...only })
      .sees(part(40_000, 50_000));
    origin.saw();
  },
);
