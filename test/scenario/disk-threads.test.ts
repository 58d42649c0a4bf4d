import { expect } from 'vitest';
import type { ScenarioNode } from './kit/node.ts';
import { scenario, type World } from './kit/scenario.ts';
import { asThreads, homeOf } from './kit/threads.ts';
import { until } from './kit/until.ts';

// Two threads of an edge over one disk store.

const TWO = { edges: ['oslo-0', 'oslo-1'], midTiers: [], sharesDisk: true };
const HOUR = 'max-age=3600';

/** The two as threads of one node: the home of `target`, and the other. */
function threads({ edge }: World, target: string): { home: ScenarioNode; away: ScenarioNode } {
  const [one, other] = [edge('oslo-0'), edge('oslo-1')];
  asThreads(one, other);
  return homeOf(target, one, other);
}

/** So many objects are on disk. */
const onDisk = ({ node }: ScenarioNode, objects: number): Promise<void> =>
  until(() => node.disk?.volume().objects === objects);

scenario('what one thread has stored the other serves, and asks nobody', TWO, async (world) => {
  const { origin } = world;
  const { home, away } = threads(world, '/a');
  const large = Buffer.alloc(700_000, 'abc');
  origin.answers('/a', { cacheControl: HOUR, body: 'a' });
  await home.get('/a').sees({ edge: 'uri-miss', body: 'a' });
  await onDisk(home, 1);
  await away.get('/a').sees({ edge: 'fresh', body: 'a' });
  origin.answers('/large', { cacheControl: HOUR, body: large });
  await home.get('/large').sees({ edge: 'uri-miss', body: large });
  await onDisk(home, 2);
  await away.get('/large').sees({ edge: 'fresh', body: large });
  expect(away.node.engine.counters.fromSiblings).toBe(0);
  origin.saw('GET /a', 'GET /large');
});

scenario('what is purged no thread serves, from memory or from disk', TWO, async (world) => {
  const { origin, purge } = world;
  const { home, away } = threads(world, '/a');
  const tagged = { cacheControl: HOUR, fields: { 'Cache-Tag': 'x' } };
  for (const [i, path] of ['/a', '/b'].entries()) {
    origin.answers(path, { ...tagged, body: 'old' });
    await home.get(path).sees({ body: 'old' });
    await onDisk(home, i + 1);
    await away.get(path).sees({ edge: 'fresh', body: 'old' });
  }
  purge(['/a']);
  origin.answers('/a', { ...tagged, body: 'new' });
  await away.get('/a').sees({ body: 'new' });
  await home.get('/a').sees({ body: 'new' });
  await away.get('/b').sees({ edge: 'fresh', body: 'old' });
  purge({ kind: 'tags', site: 'site', tags: ['x'] });
  for (const path of ['/a', '/b']) {
    origin.answers(path, { ...tagged, body: 'newest' });
    await away.get(path).sees({ body: 'newest' });
    await home.get(path).sees({ body: 'newest' });
  }
});

scenario(
  'a thread that has heeded a purge serves nothing that one which has not puts on disk',
  TWO,
  async (world) => {
    const { origin, purge } = world;
    // No way between them but the disk.
    const [one, other] = [world.edge('oslo-0'), world.edge('oslo-1')];
    other.lags();
    purge('everything');
    origin.answers('/a', { cacheControl: HOUR, body: 'from before' });
    await other.get('/a').sees({ body: 'from before' });
    await onDisk(other, 1);
    origin.answers('/a', { cacheControl: HOUR, body: 'from after' });
    await one.get('/a').sees({ body: 'from after' });
    other.catchesUp();
    await other.get('/a').sees({ body: 'from after' });
  },
);

scenario(
  'what a thread was handed by one that had not heeded a purge is not served once that has',
  TWO,
  async (world) => {
    const { origin, purge } = world;
    const { home, away } = threads(world, '/a');
    origin.answers('/a', { cacheControl: HOUR, body: 'from before' });
    home.lags();
    purge('everything');
    await home.get('/a').sees({ body: 'from before' });
    await onDisk(home, 1);
    origin.answers('/a', { cacheControl: HOUR, body: 'from after' });
    await away.get('/a');
    home.catchesUp();
    for (const thread of [away, home, away]) await thread.get('/a').sees({ body: 'from after' });
  },
);

scenario(
  'of a soft purge each thread takes the renewed copy that the other has put on disk',
  TWO,
  async (world) => {
    const { origin, clock, purge } = world;
    const { home, away } = threads(world, '/a');
    origin.answers('/a', { cacheControl: HOUR, etag: '"1"', body: 'a' });
    await home.get('/a').sees({ body: 'a' });
    await onDisk(home, 1);
    await away.get('/a').sees({ edge: 'fresh', body: 'a' });
    clock.advance('1s');
    purge('everything', 'soft');
    await home.get('/a').sees({ body: 'a' });
    await home.get('/a').sees({ body: 'a' });
    await away.get('/a').sees({ body: 'a' });
    origin.saw('GET /a', 'GET /a if-none-match "1"');
  },
);
