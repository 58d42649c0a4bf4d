import { expect } from 'vitest';
import type { Pace } from '#core/cache/engine.ts';
import { type PushVariant, USUAL_VARIANT } from '#core/contract/push.ts';
import { sharedPace } from '#core/node/shared-pace.ts';
import { place } from '#core/serving/place.ts';
import { Placements } from '#core/serving/placements.ts';
import type { FromThread } from '#core/serving/thread-messages.ts';
import type { ScenarioNode } from './kit/node.ts';
import { scenario, type World } from './kit/scenario.ts';
import { until } from './kit/until.ts';

const fresh = { cacheControl: 'max-age=3600' };
const tree = { edges: ['oslo', 'rome', 'lisbon'], midTiers: ['frankfurt', 'london'] };

interface How {
  readonly variant?: PushVariant;
  readonly pace?: Pace;
  readonly signal?: AbortSignal;
}

/** Has one node place an object, as a push does. */
function push({ node }: ScenarioNode, target: string, how: How = {}) {
  const { variant = USUAL_VARIANT, pace, signal = new AbortController().signal } = how;
  return place(node, { url: `http://www.example.org${target}`, variant }, false, pace, signal);
}

const edges = ({ edge }: World): ScenarioNode[] => tree.edges.map((name) => edge(name));
const placed = (bytes: number) => ({ kind: 'placed', fetched: true, bytes });
const failed = (reason: string, isTransient = false) => ({ kind: 'failed', reason, isTransient });

scenario(
  'the origin sends each object of a push once, whoever is to have it',
  tree,
  async (world) => {
    const { origin, edge } = world;
    const targets = Array.from({ length: 8 }, (_, i) => `/${i}`);
    for (const target of targets) origin.answers(target, { ...fresh, body: `body of ${target}` });
    const pushed = edges(world).flatMap((node) => targets.map((target) => push(node, target)));
    for (const one of await Promise.all(pushed)) expect(one).toEqual(placed(10));
    expect(origin.requests).toBe(targets.length);
    for (const name of tree.edges) {
      for (const target of targets) {
        await edge(name)
          .get(target)
          .sees({ edge: 'fresh', body: `body of ${target}` });
      }
    }
    expect(origin.requests).toBe(targets.length);
    expect(await push(edge('oslo'), '/0')).toEqual({ kind: 'placed', fetched: false, bytes: 0 });
  },
);

scenario('clients do not count for what is pushed, and pushes not for clients', async (world) => {
  const { origin, edge } = world;
  origin.answers('/a', { ...fresh, body: 'a' });
  await push(edge(), '/a');
  expect(edge().node.counters.requests).toBe(0);
  await edge().get('/a').sees({ edge: 'fresh' });
  expect(edge().node.counters).toMatchObject({ requests: 1, hits: 1 });
});

scenario('a mid-tier takes the objects that edges look for there', tree, async (world) => {
  const { origin, edge, midTier } = world;
  const targets = Array.from({ length: 12 }, (_, i) => `/${i}`);
  for (const target of targets) origin.answers(target, { ...fresh, body: target });
  for (const target of targets) {
    const kinds = await Promise.all(
      tree.midTiers.map(async (name) => (await push(midTier(name), target)).kind),
    );
    expect(kinds.toSorted()).toEqual(['elsewhere', 'placed']);
  }
  expect(origin.requests).toBe(targets.length);
  for (const target of targets) await edge('rome').get(target).sees({ midTier: 'fresh' });
  expect(origin.requests).toBe(targets.length);
});

scenario(
  'variants are pushed for the clients that they are for',
  { site: { key: { country: true, language: ['en', 'de'] } } },
  async ({ origin, edge }) => {
    origin.notes('accept-encoding', 'accept-language', 'x-country');
    origin.answers('/a', { ...fresh, fields: { Vary: 'Accept-Encoding' } });
    const variant = {
      fields: { 'accept-encoding': 'br', 'accept-language': 'de-AT' },
      country: 'AT',
    };
    expect(await push(edge(), '/a', { variant })).toMatchObject({ kind: 'placed' });
    origin.saw('GET /a accept-encoding br accept-language de x-country AT');
    expect(await push(edge(), '/a', { variant })).toMatchObject({ fetched: false });
    expect(await push(edge(), '/a')).toMatchObject({ fetched: true });
    origin.saw('GET /a accept-encoding zstd, br, gzip accept-language en x-country ZZ');
  },
);

scenario('a purge during a push is heeded: what it brings is from after it', async (world) => {
  const { origin, edge, purge, gate } = world;
  const slow = gate();
  origin.answers('/a', { ...fresh, body: 'old', waitsFor: slow }, { ...fresh, body: 'new' });
  const pushed = push(edge(), '/a');
  await slow.reached();
  purge(['/a']);
  slow.open();
  expect(await pushed).toEqual(placed('old'.length + 'new'.length));
  await edge().get('/a').sees({ edge: 'fresh', body: 'new' });
});

scenario('what cannot be placed says why', async ({ origin, edge }) => {
  origin.answers('/gone', { ...fresh, status: 404 });
  origin.answers('/down', { status: 503 });
  origin.answers('/private', { cacheControl: 'private, max-age=60' });
  expect(await push(edge(), '/gone')).toEqual(failed('status-404'));
  expect(await push(edge(), '/down')).toEqual(failed('status-503', true));
  expect(await push(edge(), '/private')).toEqual(failed('private'));
  expect(await push(edge(), '/private')).toEqual(failed('hit-for-miss'));
  const elsewhere = place(
    edge().node,
    { url: 'http://other.example/', variant: USUAL_VARIANT },
    false,
    undefined,
    new AbortController().signal,
  );
  // Of no site.
  expect(await elsewhere).toEqual(failed('unknown-host'));
  await origin.down();
  expect(await push(edge(), '/a')).toEqual(failed('upstream-unreachable', true));
});

scenario('what is stale is not pushed again while parents fail', async (world) => {
  const { origin, edge, clock } = world;
  origin.answers('/a', { cacheControl: 'max-age=10', etag: '"1"', body: 'a' });
  expect(await push(edge(), '/a')).toEqual(placed(1));
  clock.advance('11s');
  await origin.down();
  expect(await push(edge(), '/a')).toEqual(failed('stale', true));
  await origin.up();
  clock.advance('1m');
  expect(await push(edge(), '/a')).toEqual({ kind: 'placed', fetched: true, bytes: 0 });
  origin.saw('GET /a', 'GET /a if-none-match "1"');
});

const sliced = { site: { cache: { sliceBytes: 4096, sliceAboveBytes: 8192 } } };

scenario('a large object is pushed in all its slices', sliced, async (world) => {
  const { origin, edge } = world;
  const body = Buffer.alloc(50_000, 'abc');
  origin.answers('/film', { ...fresh, etag: '"1"', ranges: true, body });
  expect(await push(edge(), '/film')).toEqual(placed(body.length));
  const before = origin.requests;
  await edge().get('/film').sees({ edge: 'fresh', body });
  expect(origin.requests).toBe(before);
});

scenario('a push takes content at its pace, until a client wants it, too', async (world) => {
  const { origin, edge, gate } = world;
  const body = Buffer.alloc(4 * 1024 * 1024, 'x');
  origin.answers('/a', { ...fresh, body });
  const held = gate();
  let bytes = 0;
  const pace: Pace = (more) => {
    bytes += more;
    return held.pass();
  };
  const pushed = push(edge(), '/a', { pace });
  await held.reached();
  const client = edge().get('/a');
  await until(() => edge().node.engine.underWay.fills === 1 && edge().node.counters.requests === 0);
  expect(bytes).toBeLessThan(body.length / 4);
  held.open();
  expect(body.equals((await client).body)).toBe(true);
  expect(await pushed).toEqual(placed(body.length));
});

scenario(
  'a push waits while clients need the parents',
  { site: { upstream: { maxConnections: 4 } } },
  async ({ origin, edge, gate, clock }) => {
    const slow = gate();
    origin.answers('/slow', { ...fresh, waitsFor: slow });
    origin.answers('/slow2', { ...fresh, waitsFor: slow });
    origin.answers('/a', { ...fresh, body: 'a' });
    const clients = [edge().get('/slow'), edge().get('/slow2')];
    await slow.reached(2);
    let done = false;
    const pushed = push(edge(), '/a').finally(() => (done = true));
    for (let i = 0; i < 20; i++) {
      clock.advance('50ms');
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect({ done, requests: origin.requests }).toEqual({ done: false, requests: 2 });
    slow.open();
    await Promise.all(clients);
    await until(() => {
      clock.advance('50ms');
      return done;
    });
    expect(await pushed).toEqual(placed(1));
  },
);

scenario('a push that is given up is not fetched any further', sliced, async ({ origin, edge }) => {
  const body = Buffer.alloc(400_000, 'abc');
  origin.answers('/film', { ...fresh, etag: '"1"', ranges: true, body });
  const giveUp = new AbortController();
  const pace: Pace = async () => giveUp.abort();
  const outcome = await push(edge(), '/film', { pace, signal: giveUp.signal });
  expect(outcome).toMatchObject({ kind: 'failed' });
  expect(edge().node.engine.store.volume().bytes).toBeLessThan(body.length / 2);
});

scenario('a rate holds, whatever fetches at a time', async ({ origin, edge, clock }) => {
  const targets = ['/a', '/b'];
  for (const target of targets) origin.answers(target, { ...fresh, body: 'x'.repeat(1000) });
  const sent: FromThread[] = [];
  const placements = new Placements(edge().node, (message) => sent.push(message));
  const pace = sharedPace(1000);
  for (const [id, target] of targets.entries()) {
    const placement = { url: `http://www.example.org${target}`, variant: USUAL_VARIANT };
    void placements.place({ type: 'place', id, placement, atHome: true, pace });
  }
  const ended = async (count: number): Promise<number> => {
    await until(() => {
      if (sent.length < count) clock.advance('10ms');
      return sent.length >= count;
    });
    return clock.monotonicMs();
  };
  expect(await ended(1)).toBeGreaterThanOrEqual(1000);
  expect(await ended(2)).toBeGreaterThanOrEqual(2000);
  expect(sent).toMatchObject([{ placed: placed(1000) }, { placed: placed(1000) }]);
});
