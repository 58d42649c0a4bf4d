import { expect } from 'vitest';
import { scenario } from '../scenario/kit/scenario.ts';
import { until } from '../scenario/kit/until.ts';

const CLIENTS = 500;
const ALONE = { midTiers: [] };

scenario('500 clients on an expired object do not wait for a hung origin', ALONE, async (world) => {
  const { origin, edge, clock, gate } = world;
  const hung = gate();
  const answer = { cacheControl: 'max-age=10, stale-while-revalidate=600', etag: '"1"' };
  origin.answers('/a', { ...answer, body: 'old' }, { ...answer, waitsFor: hung });
  await edge().get('/a').sees({ body: 'old' });
  clock.advance('11s');
  // The clock stands still: whoever waited would wait for ever.
  const clients = Array.from({ length: CLIENTS }, () => edge().get('/a'));
  for (const client of clients) {
    await client.sees({ status: 200, body: 'old', edge: 'stale-while-revalidate' });
  }
  expect(edge().node.engine.underWay).toEqual({ waiters: 0, fills: 1 });
  origin.saw('GET /a', 'GET /a if-none-match "1"');
  hung.open();
});

scenario('500 clients without a window wait one second at most', ALONE, async (world) => {
  const { origin, edge, clock, gate } = world;
  const hung = gate();
  const answer = { cacheControl: 'max-age=10', etag: '"1"' };
  origin.answers('/a', { ...answer, body: 'old' }, { ...answer, waitsFor: hung });
  await edge().get('/a').sees({ body: 'old' });
  clock.advance('11s');
  const clients = Array.from({ length: CLIENTS }, () => edge().get('/a'));
  await until(() => edge().node.engine.underWay.waiters === CLIENTS);
  clock.advance('1s');
  for (const client of clients) {
    await client.sees({ status: 200, body: 'old', edge: 'stale-while-slow' });
  }
  expect(edge().node.engine.underWay).toEqual({ waiters: 0, fills: 1 });
  origin.saw('GET /a', 'GET /a if-none-match "1"');
  hung.open();
});
