import { expect } from 'vitest';
import type { SiteInput } from '#core/contract/site.ts';
import { type Cast, scenario, type World } from './kit/scenario.ts';
import { asThreads, homeOf } from './kit/threads.ts';

type Rules = SiteInput['rules'];

/** The site with the second server as an origin of its own, and what is told apart by it. */
function splitSite({ origins, changeSite }: World, rules: Rules, more: Partial<SiteInput> = {}) {
  const [main, canary] = origins;
  if (main === undefined || canary === undefined) throw new Error('There are two origins');
  changeSite({
    origin: { kind: 'pull', servers: [{ url: main.url }] },
    origins: { canary: { kind: 'pull', servers: [{ url: canary.url }] } },
    rules,
    ...more,
  });
  return { main, canary };
}

const BY_COOKIE: Rules = [{ match: { cookies: { beta: 'yes' } }, origin: { name: 'canary' } }];
const OPTED_IN = { Cookie: 'beta=yes' };
const TWO: Cast = { origins: 2 };

scenario(
  'who opts in by a cookie is answered from another origin, in every tier',
  { ...TWO, edges: ['oslo', 'rome'] },
  async (world) => {
    const { edge, purge } = world;
    const { main, canary } = splitSite(world, BY_COOKIE);
    const fields = { 'Cache-Tag': 't' };
    main.answers('/a', { cacheControl: 'max-age=60', etag: '"1"', body: 'main', fields });
    canary.answers('/a', { cacheControl: 'max-age=60', etag: '"1"', body: 'canary', fields });
    await edge().get('/a').sees({ body: 'main', edge: 'uri-miss', midTier: 'uri-miss' });
    await edge()
      .get('/a', OPTED_IN)
      .sees({ body: 'canary', edge: 'vary-miss', midTier: 'vary-miss' });
    await edge().get('/a').sees({ body: 'main', edge: 'fresh' });
    await edge().get('/a', OPTED_IN).sees({ body: 'canary', edge: 'fresh' });
    await edge('rome').get('/a', OPTED_IN).sees({ body: 'canary', midTier: 'fresh' });
    await edge('rome').get('/a').sees({ body: 'main', midTier: 'fresh' });
    main.saw('GET /a');
    canary.saw('GET /a');
    for (const target of [
      ['/a'],
      { kind: 'tags' as const, site: 'site', tags: ['t'] },
      'everything' as const,
    ]) {
      purge(target);
      await edge().get('/a', OPTED_IN).sees({ body: 'canary' });
      await edge().get('/a').sees({ body: 'main' });
      main.saw('GET /a');
      canary.saw('GET /a');
    }
  },
);

scenario('no client chooses an origin by itself', TWO, async (world) => {
  const { edge } = world;
  const { main } = splitSite(world, BY_COOKIE);
  main.answers('/a', { cacheControl: 'max-age=60', body: 'main' });
  main.notes('canopy-origin');
  await edge().get('/a', { 'Canopy-Origin': 'canary' }).sees({ body: 'main' });
  main.saw('GET /a');
});

scenario(
  'a mid-tier that does not know the origin yet is passed by',
  { ...TWO, midTiers: ['frankfurt'] },
  async (world) => {
    const { edge, midTier } = world;
    const { main } = splitSite(world, []);
    midTier().lags();
    const { canary } = splitSite(world, BY_COOKIE, {
      origins: { late: { kind: 'pull', servers: [{ url: world.origins[1]?.url ?? '' }] } },
      rules: [{ match: { cookies: { beta: 'yes' } }, origin: { name: 'late' } }],
    });
    canary.answers('/a', { cacheControl: 'max-age=60', body: 'canary' });
    await edge().get('/a', OPTED_IN).sees({ body: 'canary' });
    main.saw();
  },
);

scenario('a refresh takes the objects of both origins', TWO, async (world) => {
  const { edge, purge } = world;
  const { main, canary } = splitSite(world, BY_COOKIE);
  main.answers('/a', { cacheControl: 'max-age=60', etag: '"1"', body: 'main' });
  canary.answers('/a', { cacheControl: 'max-age=60', etag: '"2"', body: 'canary' });
  await edge().get('/a').sees({ body: 'main' });
  await edge().get('/a', OPTED_IN).sees({ body: 'canary' });
  main.saw('GET /a');
  canary.saw('GET /a');
  purge(['/a'], 'refresh');
  await expect.poll(() => main.requests).toBe(1);
  await expect.poll(() => canary.requests).toBe(1);
  canary.saw('GET /a if-none-match "2"');
});

scenario(
  'the threads of a node keep the origins apart',
  { ...TWO, edges: ['oslo-0', 'oslo-1'], midTiers: [] },
  async (world) => {
    const [one, other] = [world.edge('oslo-0'), world.edge('oslo-1')];
    asThreads(one, other);
    const { main, canary } = splitSite(world, BY_COOKIE);
    main.answers('/a', { cacheControl: 'max-age=60', body: 'main' });
    canary.answers('/a', { cacheControl: 'max-age=60', body: 'canary' });
    const { away, home } = homeOf('/a', one, other);
    await away.get('/a', OPTED_IN).sees({ body: 'canary' });
    await home.get('/a').sees({ body: 'main' });
    await away.get('/a').sees({ body: 'main' });
    await home.get('/a', OPTED_IN).sees({ body: 'canary', edge: 'fresh' });
    main.saw('GET /a');
    canary.saw('GET /a');
  },
);

scenario('where the other origin fails, the main one answers if it may', TWO, async (world) => {
  const { edge } = world;
  const { main, canary } = splitSite(world, [
    { match: { cookies: { beta: 'yes' } }, origin: { name: 'canary', fallback: true } },
    { match: { path: '/strict' }, origin: { name: 'canary' } },
  ]);
  for (const target of ['/a', '/b', '/c']) {
    main.answers(target, { cacheControl: 'max-age=60', body: 'main' });
  }
  canary.answers('/a', { status: 503 });
  canary.answers('/c', { status: 404, body: 'canary' });
  await edge().get('/a', OPTED_IN).sees({ status: 200, body: 'main' });
  await edge().get('/c', OPTED_IN).sees({ status: 404, body: 'canary' });
  // What stood in is the main origin's object, not the other's.
  canary.answers('/a', { cacheControl: 'max-age=60', body: 'canary' });
  await edge().get('/a', OPTED_IN).sees({ status: 200, body: 'canary' });
  await canary.down();
  await edge().get('/b', OPTED_IN).sees({ status: 200, body: 'main' });
  await edge().send('/b', { method: 'POST', headers: OPTED_IN }).sees({ status: 502 });
  await edge().get('/strict').sees({ status: 502 });
});

scenario(
  'of a thousand clients a tenth is answered from another origin, and stays with it',
  { ...TWO, edges: ['oslo', 'rome'] },
  async (world) => {
    const { edge } = world;
    const by = { cookie: 'canary-id', setForSeconds: 86_400 };
    const { main, canary } = splitSite(world, [
      { match: { sample: { fraction: 0.1, by } }, origin: { name: 'canary' } },
    ]);
    main.answers('/a', { cacheControl: 'max-age=600', body: 'main' });
    canary.answers('/a', { cacheControl: 'max-age=600', body: 'canary' });
    let inSample = 0;
    for (let i = 0; i < 1000; i++) {
      const first = await edge('oslo').get('/a');
      const [given = ''] = first.headers['set-cookie'] ?? [];
      if (first.body.toString() === 'canary') inSample++;
      if (i % 10 > 0) continue;
      expect(given).toMatch(
        /^canary-id=[\w-]{36}; Max-Age=86400; Path=\/; HttpOnly; SameSite=Lax$/,
      );
      expect(first.headers['cache-control']).toBe('max-age=600, private');
      const Cookie = given.split(';')[0] ?? '';
      const again = await edge('rome').get('/a', { Cookie });
      expect(again.body).toEqual(first.body);
      expect(again.headers).not.toHaveProperty('set-cookie');
    }
    // Six standard deviations of a binomial distribution.
    expect(Math.abs(inSample - 100)).toBeLessThan(57);
    main.saw('GET /a');
    canary.saw('GET /a');
  },
);
