import { afterAll, beforeAll, expect } from 'vitest';
import { freePort, RedisServer } from '#test/redis.ts';
import { scenario, type World } from './kit/scenario.ts';

let redis: RedisServer;
/** Of a Redis that nobody runs. */
let lost: string;
beforeAll(async () => {
  redis = await RedisServer.start();
  lost = `redis://127.0.0.1:${await freePort()}`;
});
afterAll(() => redis.end());

const RULES = [{ rateLimit: { requests: 10, windowSeconds: 60, scope: 'network' as const } }];

/** Statuses of so many requests, one after the other. */
async function statuses({ edge }: World, name: string, count: number): Promise<number[]> {
  const seen: number[] = [];
  for (let i = 0; i < count; i++) seen.push((await edge(name).get('/a')).status);
  return seen;
}

/** How often Redis has counted, by key. */
async function counted(): Promise<readonly string[]> {
  const keys = (await redis.command('KEYS', 'canopy:rate:*')) as string[];
  return Promise.all(keys.map(async (key) => (await redis.command('GET', key)) as string));
}

/** Resolves once Redis has counted so. */
async function told({ clock }: World, counts: readonly string[]): Promise<void> {
  await expect
    .poll(() => {
      clock.advance('50ms');
      return counted();
    })
    .toEqual(counts);
}

const withRedis = (
  name: string,
  url: () => string,
  play: (world: World) => Promise<void>,
): void => {
  scenario(name, { edges: ['oslo', 'rome'], redisUrl: url, site: { rules: RULES } }, play);
};

withRedis(
  'edges count together, and a client that one has admitted is refused by the other',
  () => redis.url,
  async (world) => {
    const { origin, edge, clock } = world;
    origin.answers('/a', { cacheControl: 'max-age=600' });
    expect(await statuses(world, 'oslo', 6)).toEqual(Array(6).fill(200));
    await told(world, ['6']);
    expect(await statuses(world, 'rome', 4)).toEqual(Array(4).fill(200));
    await told(world, ['10']);
    await expect.poll(async () => (await edge('rome').get('/a')).status).toBe(429);
    const refused = await edge('rome').get('/a').sees({ status: 429, edge: 'too-many-requests' });
    expect(Number(refused.headers['retry-after'])).toBeLessThanOrEqual(60);
    // The other learns it when it tells what it has admitted.
    await expect
      .poll(async () => {
        clock.advance('50ms');
        return (await edge('oslo').get('/a')).status;
      })
      .toBe(429);
    await edge('oslo').send('/a', { from: '127.0.0.9' }).sees({ status: 200 });
  },
);

withRedis(
  'without its Redis each edge counts by itself, and no request waits',
  () => lost,
  async (world) => {
    const { origin } = world;
    origin.answers('/a', { cacheControl: 'max-age=600' });
    for (const name of ['oslo', 'rome']) {
      expect(await statuses(world, name, 11)).toEqual([...Array(10).fill(200), 429]);
    }
  },
);
