import { expect } from 'vitest';
import type { Seen } from './kit/client.ts';
import { answer, LARGE, part, range } from './kit/film.ts';
import { type Cast, scenario, type World } from './kit/scenario.ts';
import { asThreads, homeOf, inOrder } from './kit/threads.ts';
import { until } from './kit/until.ts';

// No parent can get the object, and only a mid-tier that is not its first parent has a copy.

const MID_TIERS = ['frankfurt', 'london'];
const TREE = {
  edges: ['oslo', 'rome'],
  midTiers: MID_TIERS,
  site: { cache: { staleIfErrorSeconds: 600 } },
} satisfies Cast;
const fresh = { cacheControl: 'max-age=60', etag: '"1"', body: 'held' } as const;

const through = ({ tiers }: Seen): string | undefined => tiers.at(-2)?.node;
const triedBy = ({ tiers }: Seen): unknown => tiers.at(-1)?.parameters['tried'];

/** Has the second parent fetch `target` for `oslo`, the first being away meanwhile. @returns its name */
async function heldBySecond(
  { edge, midTier }: World,
  target: string,
  headers?: Readonly<Record<string, string>>,
): Promise<string> {
  const [first = '', second = ''] = inOrder(target, edge('oslo'), MID_TIERS);
  await midTier(first).down();
  expect(through(await edge('oslo').get(target, headers))).toBe(second);
  await midTier(first).up();
  return second;
}

scenario('what another mid-tier holds stale stands in', TREE, async (world) => {
  const { origin, edge, clock } = world;
  origin.answers('/a', fresh);
  const holder = await heldBySecond(world, '/a');
  clock.advance('61s');
  await origin.down();
  const seen = await edge('rome').get('/a').sees({ status: 200, body: 'held', age: 61 });
  expect(through(seen)).toBe(holder);
  expect(seen.tiers.at(-2)?.parameters).toMatchObject({ hit: true, detail: 'stale-if-error' });
  expect(triedBy(seen)).toBe('"failed refused"');
  await edge('rome').get('/a').sees({ status: 200, edge: 'stale-if-error', body: 'held' });
  await edge('rome').send('/a', { method: 'HEAD' }).sees({ status: 200 });
});

scenario('what another mid-tier holds fresh is served', TREE, async (world) => {
  const { origin, edge } = world;
  origin.answers('/a', fresh);
  await heldBySecond(world, '/a');
  await origin.down();
  await edge('rome').get('/a').sees({ status: 200, midTier: 'fresh', body: 'held' });
  await edge('rome').get('/a').sees({ edge: 'fresh' });
});

scenario('an origin that answers 503 is asked nothing more for it', TREE, async (world) => {
  const { origin, edge, clock } = world;
  origin.answers('/a', fresh);
  await heldBySecond(world, '/a');
  clock.advance('61s');
  origin.answers('/a', { status: 503 });
  await edge('rome').get('/a').sees({ status: 200, midTier: 'stale-if-error', body: 'held' });
  origin.saw('GET /a', 'GET /a');
});

/** Requests that a mid-tier has answered. */
const answered = ({ midTier }: World, name: string): number => midTier(name).node.load().requests;

const NOT_SERVED: Readonly<Record<string, (world: World) => void>> = {
  'past the window of stale-if-error': ({ clock }) => clock.advance('700s'),
  'that was purged': ({ purge }) => void purge(['/a']),
  'that was purged softly': ({ purge }) => void purge(['/a'], 'soft'),
};
for (const [which, happens] of Object.entries(NOT_SERVED)) {
  scenario(`a copy ${which} is not served`, TREE, async (world) => {
    const { origin, edge, clock } = world;
    origin.answers('/a', fresh);
    const holder = await heldBySecond(world, '/a');
    const before = answered(world, holder);
    clock.advance('61s');
    await origin.down();
    happens(world);
    await edge('rome').get('/a').sees({ status: 502, edge: 'upstream-unreachable' });
    await until(() => answered(world, holder) === before + 1);
  });
}

scenario('nor at a mid-tier that may have missed a purge', TREE, async (world) => {
  const { origin, edge, midTier, purge, clock } = world;
  origin.answers('/a', fresh);
  const holder = await heldBySecond(world, '/a');
  await origin.down();
  midTier(holder).lags();
  purge(['/b']);
  let status: number | undefined;
  void edge('rome')
    .get('/a')
    .then((seen) => {
      status = seen.status;
    });
  // It waits for its own link first.
  await until(() => {
    clock.advance('10ms');
    return status !== undefined;
  });
  expect(status).toBe(502);
  midTier(holder).catchesUp();
  clock.advance('2s');
  await edge('rome').get('/a').sees({ status: 200, body: 'held' });
});

scenario('what nobody holds is not looked for again at once', TREE, async (world) => {
  const { origin, edge, clock } = world;
  await origin.down();
  const [first = '', second = ''] = inOrder('/a', edge('rome'), MID_TIERS);
  for (const [advance, lookups] of [
    ['0s', 1],
    ['1s', 1],
    ['2s', 2],
  ] as const) {
    clock.advance(advance);
    await edge('rome').get('/a').sees({ status: 502 });
    await until(() => answered(world, second) === lookups);
  }
  await until(() => answered(world, first) === 3);
});

scenario('slices that another mid-tier holds are read on', { ...TREE, ...LARGE }, async (world) => {
  const { origin, edge } = world;
  origin.answers('/film', answer());
  await heldBySecond(world, '/film', range(40_000, 45_000));
  await origin.down();
  await edge('rome').get('/film', range(40_000, 45_000)).sees(part(40_000, 45_000));
  await edge('rome').get('/film', range(50_000, 50_009)).sees({ status: 502 });
});

const THREADS = { ...TREE, ...LARGE, midTiers: ['frankfurt', 'london-0', 'london-1'] };

scenario('a thread that lacks it asks the one that would have it', THREADS, async (world) => {
  const { origin, midTier } = world;
  const [one, other] = [midTier('london-0'), midTier('london-1')];
  asThreads(one, other);
  const fields = {
    'Canopy-Tier-Key': 'a key for scenarios only',
    'Canopy-Site': 'site',
    'Canopy-Fence': '0',
  };
  const held = { ...fields, 'Canopy-Held': '?1' };
  origin.answers('/film', answer());
  origin.answers('/a', fresh);
  for (const target of ['/film', '/a']) {
    const { home, away } = homeOf(target, one, other);
    await home.get(target, { ...fields, ...range(0, 9) });
    for (const thread of [home, away]) {
      await thread.get(target, { ...held, ...range(1, 2) }).sees({ status: 206 });
      await thread.get(`${target}-not`, held).sees({ status: 504, edge: 'only-if-cached' });
    }
  }
  origin.saw('GET /film', 'GET /a');
});
