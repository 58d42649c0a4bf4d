import { Samples } from '#core/telemetry/samples.ts';
import { expect } from 'vitest';
import type { SiteInput } from '#core/contract/site.ts';
import { ParentChecks } from '#core/tree/checks.ts';
import type { Seen } from './kit/client.ts';
import { answer, LARGE, part, range } from './kit/film.ts';
import { RawOrigin } from './kit/raw.ts';
import { scenario, type World } from './kit/scenario.ts';
import { asThreads, homeOf } from './kit/threads.ts';
import { until } from './kit/until.ts';

const fresh = { cacheControl: 'max-age=3600' };
const unstored = { cacheControl: 'no-store' };
const ALONE = { midTiers: [] };
const TWO_SHIELDS = { midTiers: ['frankfurt', 'london'] };
const TWO_THREADS = { ...LARGE, ...TWO_SHIELDS, edges: ['oslo-0', 'oslo-1'] };

/** What the edge tried in vain, in the words of `Cache-Status`. */
const tried = ({ headers }: Seen): string | undefined =>
  /tried="([^"]*)"[^,]*$/.exec(String(headers['cache-status']))?.[1];

/** The mid-tier that took part. */
const through = ({ tiers }: Seen): string | undefined => tiers.at(-2)?.node;

/** Puts before the scripted origin a server that does to each connection what `does` says. */
async function withFirst(
  { origin, changeSite }: World,
  does: ConstructorParameters<typeof RawOrigin>[0],
  upstream: SiteInput['upstream'],
  play: (first: RawOrigin) => Promise<void>,
): Promise<void> {
  const first = await new RawOrigin(does).up();
  const servers = [{ url: first.url }, { url: origin.url, priority: 1 }];
  changeSite({ origin: { kind: 'pull', servers }, upstream });
  try {
    await play(first);
  } finally {
    await first.down();
  }
}

const blackhole = (): void => undefined;

scenario('a parent that never answers costs its budget, and is then avoided', ALONE, (world) =>
  withFirst(world, blackhole, { firstByteTimeoutMs: 400 }, async (first) => {
    const { origin, edge, clock } = world;
    for (const target of ['/a', '/b', '/c', '/d', '/e', '/f']) {
      origin.answers(target, { ...fresh, body: target });
    }
    const asked = ['/a', '/b', '/c'].map((target) => edge().get(target));
    await until(() => first.requests.length === 3);
    clock.advance('399ms');
    const late = edge().get('/d');
    await until(() => first.requests.length === 4);
    clock.advance('1ms');
    for (const [index, sight] of asked.entries()) {
      expect(tried(await sight.sees({ status: 200, body: ['/a', '/b', '/c'][index] ?? '' }))).toBe(
        'timeout',
      );
    }
    // Three objects show that it is the parent; who still waits for it need not.
    expect(tried(await late.sees({ status: 200, body: '/d' }))).toBe('down');
    expect(tried(await edge().get('/e').sees({ status: 200, body: '/e' }))).toBeUndefined();
    expect(first.requests.length).toBe(4);
    expect(edge().node.parents()).toEqual([{ name: first.url, standing: 'open' }]);
  }),
);

scenario('after its backoff one request at a time tries it again', ALONE, (world) =>
  withFirst(world, blackhole, { firstByteTimeoutMs: 400 }, async (first) => {
    const { origin, edge, clock } = world;
    const targets = ['/a', '/b', '/c', '/d', '/e'];
    for (const target of targets) origin.answers(target, { ...unstored, body: target });
    const asked = targets.slice(0, 3).map((target) => edge().get(target));
    await until(() => first.requests.length === 3);
    clock.advance('400ms');
    for (const sight of asked) await sight.sees({ status: 200 });
    clock.advance('500ms');
    expect(edge().node.parents()).toEqual([{ name: first.url, standing: 'half-open' }]);
    const trial = edge().get('/d');
    await until(() => first.requests.length === 4);
    await edge().get('/e').sees({ status: 200, body: '/e' });
    expect(first.requests.length).toBe(4);
    clock.advance('400ms');
    await trial.sees({ status: 200, body: '/d' });
    // Twice as long as before: the next request does not try it.
    clock.advance('400ms');
    await edge().get('/e').sees({ status: 200, body: '/e' });
    expect(first.requests.length).toBe(4);
  }),
);

scenario('one bad object marks nothing down', { origins: 2, midTiers: [] }, async (world) => {
  const { origins, edge, clock, gate } = world;
  const [first, second] = origins;
  const never = gate();
  first?.answers('/bad', { waitsFor: never });
  second?.answers('/bad', { ...unstored, body: 'bad' });
  for (let i = 1; i <= 5; i++) {
    const asked = edge().get('/bad');
    await never.reached(i);
    clock.advance('10s');
    await asked.sees({ status: 200, body: 'bad' });
  }
  first?.answers('/good', { ...fresh, body: 'good' });
  await edge().get('/good').sees({ status: 200, body: 'good' });
  expect(edge().node.parents()).toEqual([]);
  never.open();
});

scenario(
  'a parent that recovers gets its objects back little by little',
  TWO_SHIELDS,
  async (world) => {
    const { origin, edge, midTier, clock } = world;
    const targets = Array.from({ length: 40 }, (_, i) => `/${i}`);
    for (const target of targets) origin.answers(target, { ...unstored, body: target });
    const ofFrankfurt = async (): Promise<string[]> => {
      const seen = await Promise.all(
        targets.map((target) => edge().get(target).sees({ status: 200 })),
      );
      return targets.filter((_, i) => through(seen[i] as Seen) === 'frankfurt');
    };
    const before = await ofFrankfurt();
    await midTier('frankfurt').down();
    expect(await ofFrankfurt()).toEqual([]);
    await midTier('frankfurt').up();
    clock.advance('30s');
    const trial = before[0] ?? '';
    expect(through(await edge().get(trial))).toBe('frankfurt');
    const soon = await ofFrankfurt();
    expect(before).toEqual(expect.arrayContaining(soon));
    expect(soon.length).toBeLessThan(before.length / 2);
    clock.advance('10s');
    expect(await ofFrankfurt()).toEqual(before);
  },
);

scenario(
  'what the checks find down is left, also by who waits for it',
  TWO_SHIELDS,
  async (world) => {
    const { origin, edge, midTier, gate } = world;
    const slow = gate();
    origin.answers('/a', { ...fresh, body: 'first', waitsFor: slow }, { ...fresh, body: 'second' });
    const asked = edge().get('/a');
    await slow.reached();
    const busy = ['frankfurt', 'london'].find(
      (name) => midTier(name).node.load().upstreamRequests > 0,
    );
    edge().node.checked(new Set([busy ?? '']));
    const seen = await asked.sees({ status: 200, body: 'second' });
    expect(tried(seen)).toBe('down');
    expect(through(seen)).not.toBe(busy);
    slow.open();
  },
);

scenario(
  'retries are bounded when a parent fails everything',
  { origins: 2, midTiers: [] },
  async (world) => {
    const { origins, edge, changeSite } = world;
    const [first, second] = origins;
    const servers = origins.map(({ url }, priority) => ({ url, priority }));
    changeSite({
      origin: { kind: 'pull', servers },
      upstream: { retryFraction: 0.1, retriesPerSecond: 0.5 },
    });
    // One object, so that it is not the breaker that ends it.
    first?.answers('/a', { ...unstored, status: 503, body: 'too much' });
    second?.answers('/a', { ...unstored, body: 'well' });
    const statuses: number[] = [];
    for (let i = 0; i < 100; i++) statuses.push((await edge().get('/a')).status);
    expect(statuses.filter((status) => status === 200).length).toBe(second?.requests);
    // 5 whatever happens, and a tenth of a hundred.
    expect(second?.requests).toBe(15);
    expect(new Set(statuses)).toEqual(new Set([200, 503]));
  },
);

scenario('beyond connections and line there is 503 with Retry-After', ALONE, async (world) => {
  const { origin, edge, clock, gate, changeSite } = world;
  changeSite({ upstream: { maxConnections: 2, maxQueue: 1 } });
  const held = gate();
  for (const target of ['/a', '/b', '/c', '/d']) {
    origin.answers(target, { ...fresh, body: target, waitsFor: held });
  }
  const underWay = [edge().get('/a'), edge().get('/b')];
  await held.reached(2);
  const inLine = edge().get('/c');
  await until(() => edge().node.engine.underWay.fills === 3);
  const refused = { status: 503, edge: 'upstream-busy', headers: { 'retry-after': '1' } };
  await edge().get('/d').sees(refused);
  clock.advance('500ms');
  await inLine.sees(refused);
  held.open();
  for (const sight of underWay) await sight.sees({ status: 200 });
  await edge().get('/d').sees({ status: 200, body: '/d' });
  expect(edge().node.parents()).toEqual([]);
});

scenario('a tier that is full is not gone around', async (world) => {
  const { origin, edge, gate, changeSite } = world;
  changeSite({ upstream: { maxConnections: 1, maxQueue: 0 } });
  const held = gate();
  origin.answers('/a', { ...fresh, body: 'a', waitsFor: held });
  const asked = edge().get('/a');
  await held.reached();
  await edge().get('/b').sees({ status: 503, edge: 'upstream-busy' });
  held.open();
  await asked.sees({ status: 200, body: 'a' });
  origin.saw('GET /a');
});

scenario(
  'a second parent is asked when the first is slower than usual',
  { origins: 2, midTiers: [] },
  async (world) => {
    const { origins, edge, clock, gate, changeSite } = world;
    const [first, second] = origins;
    const servers = origins.map(({ url }, priority) => ({ url, priority }));
    changeSite({ origin: { kind: 'pull', servers }, upstream: { hedge: true } });
    for (let i = 0; i < 20; i++) {
      first?.answers(`/${i}`, { ...fresh, body: 'usual' });
      await edge().get(`/${i}`).sees({ body: 'usual' });
    }
    const slow = gate();
    first?.answers('/a', { ...fresh, body: 'slow', waitsFor: slow });
    second?.answers('/a', { ...fresh, body: 'second' });
    const asked = edge().get('/a');
    await slow.reached();
    second?.saw();
    clock.advance('2ms');
    await asked.sees({ status: 200, body: 'second' });
    second?.saw('GET /a');
    await until(() => {
      const samples = new Samples();
      edge().node.engine.tree.counters.sample(samples);
      const counted = samples.byMetric.get('canopy_upstream_requests_total');
      return [...(counted?.keys() ?? [])].some((labels) => labels.endsWith('outpaced'));
    });
    slow.open();
  },
);

scenario('small content is sent again where the method may be repeated', ALONE, (world) =>
  withFirst(
    world,
    (socket) => socket.resetAndDestroy(),
    {},
    async (first) => {
      const { origin, edge } = world;
      origin.answersTo('PUT /a', { status: 201 });
      const content = 'z'.repeat(1000);
      await edge().send('/a', { method: 'PUT', content }).sees({ status: 201, body: content });
      expect(first.requests.length).toBe(2);
      await edge().send('/a', { method: 'POST', content }).sees({ status: 502 });
      expect(first.requests.length).toBe(3);
      origin.saw('PUT /a');
    },
  ),
);

scenario('another group stands in for the own one', TWO_SHIELDS, async (world) => {
  const { origin, edge, midTier } = world;
  inGroup(world, 'frankfurt', 'europe');
  inGroup(world, 'london', 'america');
  inGroup(world, 'oslo', 'europe');
  for (const target of ['/a', '/b', '/c', '/d']) origin.answers(target, { ...fresh, body: target });
  for (const target of ['/a', '/b', '/c']) {
    expect(through(await edge().get(target))).toBe('frankfurt');
  }
  await midTier('frankfurt').down();
  const seen = await edge().get('/d').sees({ status: 200, body: '/d' });
  expect(through(seen)).toBe('london');
  expect(tried(seen)).toBe('refused');
});

scenario('mid-tiers go to the origin through the shield', TWO_SHIELDS, async (world) => {
  const { origin, edge, midTier, changeSite } = world;
  inGroup(world, 'frankfurt', 'europe');
  inGroup(world, 'london', 'america');
  inGroup(world, 'oslo', 'europe');
  changeSite({ shieldGroup: 'america' });
  origin.answers('/a', { ...fresh, body: 'a' });
  const { tiers } = await edge().get('/a').sees({ status: 200, body: 'a' });
  expect(tiers.map(({ node }) => node)).toEqual(['london', 'frankfurt', 'oslo']);
  await midTier('london').down();
  origin.answers('/b', { ...fresh, body: 'b' });
  await edge().get('/b').sees({ status: 200, body: 'b' });
});

scenario(
  'a validation says whom it asked',
  TWO_SHIELDS,
  async ({ origin, edge, midTier, clock }) => {
    origin.answers('/a', { cacheControl: 'max-age=10', etag: '"1"', body: 'a' });
    const first = through(await edge().get('/a')) ?? '';
    await midTier(first).down();
    clock.advance('11s');
    expect(tried(await edge().get('/a').sees({ status: 200, edge: 'stale' }))).toBe('refused');
  },
);

scenario('a slice says whom it took to fetch it', TWO_THREADS, async (world) => {
  const { origin, edge, midTier } = world;
  const [one, other] = [edge('oslo-0'), edge('oslo-1')];
  asThreads(one, other);
  const { home, away } = homeOf('/film', one, other);
  origin.answers('/film', answer());
  const first = through(await away.get('/film', range(40_000, 40_009))) ?? '';
  await midTier(first).down();
  const seen = await away.get('/film', range(20_000, 20_009)).sees(part(20_000, 20_009));
  expect(tried(seen)).toBe('refused');
  await home.get('/film', range(20_000, 20_009)).sees({ edge: 'fresh' });
  await Promise.all([midTier(first === 'london' ? 'frankfurt' : 'london').down(), origin.down()]);
  const failed = await away.get('/film', range(30_000, 30_009)).sees({ status: 502 });
  expect(tried(failed)).toContain('refused refused');
});

function inGroup({ publish, edge, midTier }: World, name: string, group: string): void {
  const { tier, url } = name === 'oslo' ? edge(name) : midTier(name);
  const location = { name, latitude: 0, longitude: 0 };
  publish({
    type: 'node.put',
    node: { name, tier, url, location, capacity: 1, draining: false, group },
  });
}

scenario('checks find out who is down, and who is up again', async (world) => {
  const { midTier, clock } = world;
  const { url } = midTier();
  const told: (readonly string[])[] = [];
  const checks = new ParentChecks({
    clock,
    random: () => 0.5,
    onChange: (down) => void told.push(down),
  });
  const check = {
    parent: { name: 'frankfurt', url, tier: 'mid-tier' as const },
    host: 'frankfurt',
    path: '/.canopy/health',
    status: [200],
  };
  const after = async (results: readonly (readonly string[])[]): Promise<void> => {
    await until(() => {
      clock.advance('100ms');
      return told.length === results.length;
    });
    expect(told).toEqual(results);
  };
  try {
    checks.watch([{ ...check, intervalMs: 1000, timeoutMs: 60_000, rise: 2, fall: 2 }]);
    await midTier().down();
    await after([['frankfurt']]);
    await midTier().up();
    await after([['frankfurt'], []]);
  } finally {
    await checks.close();
  }
});
