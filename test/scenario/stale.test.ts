import { expect } from 'vitest';
import type { ScenarioNode } from './kit/node.ts';
import { scenario } from './kit/scenario.ts';
import { until } from './kit/until.ts';

const ALONE = { midTiers: [] };
const SWR = { cacheControl: 'max-age=10, stale-while-revalidate=600', etag: '"1"' };

const inLanguage = (body: string) => ({ ...SWR, fields: { Vary: 'Accept-Language' }, body });

const settled = (node: ScenarioNode): Promise<void> =>
  until(() => node.node.engine.underWay.fills === 0);

scenario('a refresh that hangs holds up nobody', ALONE, async ({ origin, edge, clock, gate }) => {
  const hung = gate();
  origin.answers(
    '/a',
    { ...SWR, body: 'old' },
    { ...SWR, body: 'new', etag: '"2"', waitsFor: hung },
  );
  await edge().get('/a').sees({ body: 'old' });
  clock.advance('11s');
  for (let i = 0; i < 20; i++) {
    await edge().get('/a').sees({ edge: 'stale-while-revalidate', body: 'old' });
  }
  await hung.reached();
  hung.open();
  await settled(edge());
  await edge().get('/a').sees({ edge: 'fresh', body: 'new' });
  origin.saw('GET /a', 'GET /a if-none-match "1"');
});

scenario('a failed refresh is tried again ever more rarely', ALONE, async (world) => {
  const { origin, edge, clock } = world;
  origin.answers('/a', { ...SWR, body: 'good' }, { status: 500, body: 'oops' });
  await edge().get('/a').sees({ body: 'good' });
  origin.saw('GET /a');
  clock.advance('11s');
  const asksOnce = async (): Promise<void> => {
    await edge().get('/a').sees({ body: 'good', status: 200 });
    await settled(edge());
    await edge().get('/a').sees({ body: 'good', status: 200, edge: 'stale-if-error' });
    origin.saw('GET /a if-none-match "1"');
  };
  await asksOnce();
  clock.advance('1900ms');
  await edge().get('/a').sees({ edge: 'stale-if-error' });
  clock.advance('601ms');
  await asksOnce();
  // 2 s were enough the first time, now it takes 4.
  clock.advance('3900ms');
  await edge().get('/a').sees({ edge: 'stale-if-error' });
  clock.advance('1101ms');
  await asksOnce();
});

scenario('a refresh that failed says nothing of other variants', ALONE, async (world) => {
  const { origin, edge, clock } = world;
  const [english, french] = [{ 'Accept-Language': 'en' }, { 'Accept-Language': 'fr' }];
  origin.answers(
    '/a',
    inLanguage('one'),
    inLanguage('un'),
    { status: 500 },
    { ...inLanguage('deux'), etag: '"2"' },
  );
  await edge().get('/a', english).sees({ body: 'one' });
  await edge().get('/a', french).sees({ body: 'un' });
  clock.advance('11s');
  await edge().get('/a', english).sees({ edge: 'stale-while-revalidate', body: 'one' });
  await settled(edge());
  await edge().get('/a', french).sees({ edge: 'stale-while-revalidate', body: 'un' });
  await settled(edge());
  await edge().get('/a', french).sees({ edge: 'fresh', body: 'deux' });
  await edge().get('/a', english).sees({ edge: 'stale-if-error', body: 'one' });
});

scenario(
  'a failed refresh is not repeated where errors forbid what is stale',
  { ...ALONE, site: { cache: { staleIfErrorSeconds: 0 } } },
  async ({ origin, edge, clock }) => {
    origin.answers('/a', { ...SWR, body: 'good' }, { status: 500 });
    await edge().get('/a').sees({ body: 'good' });
    clock.advance('11s');
    for (let i = 0; i < 5; i++) {
      await edge().get('/a').sees({ body: 'good', edge: 'stale-while-revalidate' });
      await settled(edge());
    }
    origin.saw('GET /a', 'GET /a if-none-match "1"');
  },
);

scenario(
  'a site has so many refreshes under way, and serves what is stale beyond',
  { ...ALONE, site: { cache: { maxRefreshes: 2 } } },
  async ({ origin, edge, clock, gate }) => {
    const hung = gate();
    const targets = ['/1', '/2', '/3'];
    for (const target of targets) {
      origin.answers(target, { ...SWR, body: 'old' }, { ...SWR, waitsFor: hung });
      await edge().get(target).sees({ body: 'old' });
    }
    origin.saw('GET /1', 'GET /2', 'GET /3');
    clock.advance('11s');
    for (const target of targets) await edge().get(target).sees({ body: 'old' });
    await hung.reached(2);
    origin.saw('GET /1 if-none-match "1"', 'GET /2 if-none-match "1"');
    expect(edge().node.engine.counters.refreshesSkipped).toBe(1);
    hung.open();
    await settled(edge());
    await edge().get('/3').sees({ body: 'old' });
    await settled(edge());
    origin.saw('GET /3 if-none-match "1"');
  },
);

scenario('a slow parent is not waited for where stale may stand in', ALONE, async (world) => {
  const { origin, edge, clock, gate } = world;
  const hung = gate();
  const answer = { cacheControl: 'max-age=10', body: 'old', etag: '"1"' };
  origin.answers('/a', answer, { ...answer, body: 'new', etag: '"2"', waitsFor: hung });
  await edge().get('/a').sees({ body: 'old' });
  clock.advance('11s');
  const waiting = Array.from({ length: 5 }, () => edge().get('/a'));
  await until(() => edge().node.engine.underWay.waiters === 5);
  clock.advance('1s');
  for (const client of waiting) await client.sees({ edge: 'stale-while-slow', body: 'old' });
  // The fetch goes on, and whoever comes now waits no more.
  await edge().get('/a').sees({ edge: 'stale-while-slow', body: 'old' });
  expect(edge().node.engine.counters.staleWhileSlow).toBe(6);
  hung.open();
  await settled(edge());
  await edge().get('/a').sees({ edge: 'fresh', body: 'new' });
  origin.saw('GET /a', 'GET /a if-none-match "1"');
});

scenario('what was purged meanwhile does not stand in', ALONE, async (world) => {
  const { origin, edge, clock, gate, purge } = world;
  const hung = gate();
  const answer = { cacheControl: 'max-age=10', body: 'old', etag: '"1"' };
  origin.answers('/a', answer, { ...answer, body: 'new', etag: '"2"', waitsFor: hung });
  await edge().get('/a').sees({ body: 'old' });
  clock.advance('11s');
  const client = edge().get('/a');
  await until(() => edge().node.engine.underWay.waiters === 1);
  purge(['/a']);
  clock.advance('2s');
  hung.open();
  await client.sees({ body: 'new' });
});

scenario(
  'an object in demand is refreshed ahead of its expiry',
  { ...ALONE, site: { cache: { refreshAhead: 0.2 } } },
  async ({ origin, edge, clock }) => {
    origin.answers('/a', { cacheControl: 'max-age=100', etag: '"1"', body: 'a' });
    await edge().get('/a').sees({ edge: 'uri-miss' });
    clock.advance('75s');
    await edge().get('/a').sees({ edge: 'fresh' });
    clock.advance('10s');
    await edge().get('/a').sees({ edge: 'refresh-ahead', age: 85 });
    await settled(edge());
    await edge().get('/a').sees({ edge: 'fresh', age: 0 });
    origin.saw('GET /a', 'GET /a if-none-match "1"');
  },
);

scenario(
  'an object that hardly anyone asks for is not refreshed ahead',
  { ...ALONE, site: { cache: { refreshAhead: 0.2 } } },
  async ({ origin, edge, clock }) => {
    origin.answers('/a', { cacheControl: 'max-age=100', etag: '"1"', body: 'a' });
    await edge().get('/a').sees({ edge: 'uri-miss' });
    clock.advance('90s');
    await edge().get('/a').sees({ edge: 'fresh', age: 90 });
    origin.saw('GET /a');
  },
);

scenario(
  'objects stored at once do not expire at once',
  { site: { cache: { jitterFraction: 0.5 } } },
  async ({ origin, edge, clock }) => {
    const targets = Array.from({ length: 20 }, (_, i) => `/${i}`);
    for (const target of targets) {
      origin.answers(target, { cacheControl: 'max-age=100', etag: '"1"', body: 'a' });
      await edge().get(target).sees({ status: 200 });
    }
    clock.advance('75s');
    const seen = await Promise.all(targets.map((target) => edge().get(target)));
    const stale = seen.filter(({ tiers }) => tiers.at(-1)?.parameters['detail'] === 'stale');
    expect(stale.length).toBeGreaterThan(2);
    expect(stale.length).toBeLessThan(18);
    // The tiers agree: what is stale at the edge is stale at the mid-tier.
    for (const { tiers } of stale) expect(tiers[0]?.parameters['detail']).toBe('stale');
  },
);
