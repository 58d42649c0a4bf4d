import { expect } from 'vitest';
import { scenario } from './kit/scenario.ts';
import { until } from './kit/until.ts';

const ALONE = { midTiers: [] };
const TWO_ORIGINS = { ...ALONE, origins: 2 };

scenario(
  'more than so many do not wait for one fetch',
  { ...ALONE, site: { cache: { maxWaiters: 2 } } },
  async ({ origin, edge, gate }) => {
    const slow = gate();
    origin.answers('/a', { cacheControl: 'max-age=60', body: 'a', waitsFor: slow });
    const waiting = [edge().get('/a'), edge().get('/a')];
    await until(() => edge().node.engine.underWay.waiters === 2);
    const refused = await edge()
      .get('/a')
      .sees({ status: 503, edge: 'unavailable', headers: { 'retry-after': '1' } });
    expect(refused.body.toString()).toContain('"code":"unavailable"');
    slow.open();
    for (const client of waiting) await client.sees({ status: 200, body: 'a' });
    expect(edge().node.engine.counters.waitersRefused).toBe(1);
    origin.saw('GET /a');
  },
);

scenario(
  'nobody waits longer than the site says, and the fetch goes on',
  { ...ALONE, site: { cache: { waitTimeoutMs: 5000 } } },
  async ({ origin, edge, clock, gate }) => {
    const slow = gate();
    origin.answers('/a', { cacheControl: 'max-age=60', body: 'a', waitsFor: slow });
    const waiting = [edge().get('/a'), edge().get('/a')];
    await until(() => edge().node.engine.underWay.waiters === 2);
    await slow.reached();
    clock.advance('5s');
    for (const client of waiting) await client.sees({ status: 503, edge: 'unavailable' });
    expect(edge().node.engine.counters.waitersTimedOut).toBe(2);
    slow.open();
    await until(() => edge().node.engine.underWay.fills === 0);
    await edge().get('/a').sees({ status: 200, edge: 'fresh' });
    origin.saw('GET /a');
  },
);

scenario(
  'one who may not wait gets what is stale, where that may stand in',
  { ...ALONE, site: { cache: { maxWaiters: 0 }, upstream: { staleAfterMs: 20_000 } } },
  async ({ origin, edge, clock, gate }) => {
    const slow = gate();
    const answer = { cacheControl: 'max-age=10', body: 'old', etag: '"1"' };
    origin.answers('/a', answer, { ...answer, waitsFor: slow });
    await edge().get('/a').sees({ body: 'old' });
    clock.advance('11s');
    const first = edge().get('/a');
    await slow.reached();
    await edge().get('/a').sees({ status: 200, body: 'old' });
    slow.open();
    await first.sees({ status: 200, body: 'old' });
  },
);

scenario('a fetch that fails at one parent fails nobody', TWO_ORIGINS, async (world) => {
  const { origins, edge, clock, gate } = world;
  const [first, second] = origins;
  const never = gate();
  first?.answers('/a', { waitsFor: never });
  second?.answers('/a', { cacheControl: 'max-age=60', body: 'from the second' });
  const clients = Array.from({ length: 20 }, () => edge().get('/a'));
  await never.reached();
  await until(() => edge().node.engine.underWay.waiters === 20);
  clock.advance('10s');
  for (const client of clients) await client.sees({ status: 200, body: 'from the second' });
  first?.saw('GET /a');
  second?.saw('GET /a');
  never.open();
});

scenario('when every parent has failed, all who wait see it', { origins: 2 }, async (world) => {
  const { origins, edge } = world;
  for (const origin of origins) await origin.down();
  const clients = Array.from({ length: 20 }, () => edge().get('/a'));
  for (const client of clients) await client.sees({ status: 502, edge: 'upstream-unreachable' });
});

scenario('HEAD, ranges and GET wait for one fetch', async ({ origin, edge, gate }) => {
  const slow = gate();
  const body = '0123456789';
  origin.answers('/a', { cacheControl: 'max-age=60', body, waitsFor: slow });
  const head = edge().send('/a', { method: 'HEAD' });
  const range = edge().get('/a', { Range: 'bytes=2-4' });
  const suffix = edge().get('/a', { Range: 'bytes=-2' });
  const whole = edge().get('/a');
  await until(() => edge().node.engine.underWay.waiters === 4);
  slow.open();
  await head.sees({ status: 200, body: '', headers: { 'content-length': '10' } });
  await range.sees({ status: 206, body: '234' });
  await suffix.sees({ status: 206, body: '89' });
  await whole.sees({ status: 200, body });
  origin.saw('GET /a');
});

scenario('an answer that becomes cacheable again is stored', ALONE, async (world) => {
  const { origin, edge, clock } = world;
  origin.answers('/a', { cacheControl: 'no-store', body: 'mine' });
  await edge().get('/a').sees({ edge: 'no-store' });
  await edge().get('/a').sees({ edge: 'hit-for-miss' });
  origin.answers('/a', { cacheControl: 'max-age=60', body: 'everybody’s' });
  await edge().get('/a').sees({ edge: 'hit-for-miss' });
  clock.advance('10s');
  await edge().get('/a').sees({ edge: 'uri-miss' });
  await edge().get('/a').sees({ edge: 'fresh' });
});

scenario('the probe of an uncacheable answer holds up nobody', ALONE, async (world) => {
  const { origin, edge, clock, gate } = world;
  const slow = gate();
  origin.answers('/a', { cacheControl: 'no-store', body: 'mine' });
  await edge().get('/a').sees({ edge: 'no-store' });
  clock.advance('11s');
  origin.answers(
    '/a',
    { cacheControl: 'no-store', body: 'probe', waitsFor: slow },
    { cacheControl: 'no-store', body: 'other' },
  );
  const probe = edge().get('/a');
  await slow.reached();
  await edge().get('/a').sees({ edge: 'hit-for-miss', body: 'other' });
  slow.open();
  await probe.sees({ body: 'probe' });
});
