import { expect } from 'vitest';
import type { Script } from './kit/origin.ts';
import { scenario } from './kit/scenario.ts';
import { until } from './kit/until.ts';

const ALONE = { midTiers: [] };
const TEXT = 'abcdefghij';
const small = { cacheControl: 'max-age=60', etag: '"1"', body: TEXT, ranges: true } as const;
const last = (bytes: number): Record<string, string> => ({ Range: `bytes=-${bytes}` });

scenario('a short suffix of a small object is kept and completed', async ({ origin, edge }) => {
  origin.answers('/a', small);
  await edge().get('/a', last(3)).sees({ status: 206, edge: 'uri-miss', body: 'hij' });
  origin.saw('GET /a range bytes=-3');
  await edge()
    .get('/a', { Range: 'bytes=8-' })
    .sees({ status: 206, edge: 'fresh', body: 'ij', headers: { 'content-range': 'bytes 8-9/10' } });
  await edge()
    .send('/a', { method: 'HEAD' })
    .sees({ status: 200, edge: 'fresh', headers: { 'content-length': '10' } });
  origin.saw();
  await edge().get('/a').sees({ status: 200, edge: 'partial', midTier: 'partial', body: TEXT });
  origin.saw('GET /a range bytes=0-6 if-range "1"');
  await edge().get('/a').sees({ status: 200, edge: 'fresh', body: TEXT });
  origin.saw();
});

scenario('a suffix that is all there is comes as the whole', async ({ origin, edge }) => {
  const explicit = { status: 206, fields: { 'Content-Range': 'bytes 0-9/10' } };
  origin.answers('/a', { ...small, ...explicit });
  await edge().get('/a', last(50)).sees({ status: 206, body: TEXT });
  await edge().get('/a').sees({ status: 200, edge: 'fresh', body: TEXT });
  origin.saw('GET /a range bytes=-50');
});

scenario('a part is never completed with another version', async ({ origin, edge }) => {
  origin.answers('/a', small);
  await edge().get('/a', last(3));
  origin.answers('/a', { ...small, etag: '"2"', body: 'ABCDEFGHIJ' });
  await edge().get('/a').sees({ status: 200, body: 'ABCDEFGHIJ' });
  origin.saw('GET /a range bytes=-3', 'GET /a range bytes=0-6 if-range "1"');
});

scenario('nor where the origin does not mind If-Range', ALONE, async ({ origin, edge }) => {
  origin.answers('/a', small);
  await edge().get('/a', last(3));
  const mistaken = { status: 206, fields: { 'Content-Range': 'bytes 0-6/10' }, body: 'ABCDEFG' };
  const next = { ...small, etag: '"2"' };
  origin.answers('/a', { ...next, ...mistaken }, { ...next, body: 'ABCDEFGHIJ' });
  await edge().get('/a').sees({ status: 200, body: 'ABCDEFGHIJ' });
  origin.saw('GET /a range bytes=-3', 'GET /a range bytes=0-6 if-range "1"', 'GET /a');
});

scenario('a purge takes parts, too', ALONE, async ({ origin, edge, purge }) => {
  origin.answers('/a', small);
  await edge().get('/a', last(3));
  purge(['/a']);
  await edge().get('/a').sees({ status: 200, edge: 'uri-miss', body: TEXT });
  origin.saw('GET /a range bytes=-3', 'GET /a');
});

scenario('a soft purge is heeded by asking for the same version', ALONE, async (world) => {
  const { origin, edge, purge } = world;
  origin.answers('/a', small);
  await edge().get('/a', last(3));
  purge('everything', 'soft');
  await edge().get('/a').sees({ status: 200, edge: 'partial', body: TEXT });
  await edge().get('/a').sees({ edge: 'fresh' });
  origin.saw('GET /a range bytes=-3', 'GET /a range bytes=0-6 if-range "1"');
});

scenario('a part from before a purge of the site is not completed', ALONE, async (world) => {
  const { origin, edge, purge } = world;
  origin.answers('/a', small);
  await edge().get('/a', last(3));
  purge('everything');
  await edge().get('/a').sees({ status: 200, body: TEXT });
  origin.saw('GET /a range bytes=-3', 'GET /a');
});

scenario('who wants more waits for the part, then for the rest', ALONE, async (world) => {
  const { origin, edge, gate } = world;
  const slow = gate();
  origin.answers('/a', { ...small, waitsFor: slow });
  const part = edge().get('/a', last(3));
  await slow.reached();
  const others = [edge().get('/a', last(2)), ...[1, 2, 3].map(() => edge().get('/a'))];
  await until(() => edge().node.engine.underWay.waiters === 5);
  slow.open();
  await part.sees({ status: 206, body: 'hij' });
  await others[0]?.sees({ status: 206, body: 'ij' });
  for (const whole of others.slice(1)) await whole.sees({ status: 200, body: TEXT });
  origin.saw('GET /a range bytes=-3', 'GET /a range bytes=0-6 if-range "1"');
});

scenario('a stale part is validated', ALONE, async ({ origin, edge, clock }) => {
  origin.answers('/a', small);
  await edge().get('/a', last(3));
  clock.advance('61s');
  await edge().get('/a', last(2)).sees({ status: 206, edge: 'stale', body: 'ij' });
  origin.saw('GET /a range bytes=-3', 'GET /a if-none-match "1"');
});

scenario('a rest that breaks off is continued', ALONE, async ({ origin, edge }) => {
  origin.answers('/a', small);
  await edge().get('/a', last(3));
  origin.answers('/a', { ...small, breaksAfter: 2 }, small);
  await edge().get('/a').sees({ status: 200, body: TEXT });
  origin.saw(
    'GET /a range bytes=-3',
    'GET /a range bytes=0-6 if-range "1"',
    'GET /a range bytes=2- if-range "1"',
  );
});

scenario('an answer with another part than was asked is passed on', ALONE, async (world) => {
  const { origin, edge } = world;
  const fields = { 'Content-Range': 'bytes 0-4/10' };
  origin.answers('/a', { cacheControl: 'max-age=60', status: 206, fields, body: 'abcde' });
  const seen = { status: 206, body: 'abcde', headers: { 'content-range': 'bytes 0-4/10' } };
  await edge().get('/a', last(3)).sees(seen);
  await edge().get('/a', { Range: 'bytes=1-2' }).sees({ status: 206, edge: 'fresh', body: 'bc' });
  origin.saw('GET /a range bytes=-3');
  // Without a validator there is nothing to complete it by.
  origin.answers('/a', { cacheControl: 'max-age=60', body: TEXT });
  await edge().get('/a').sees({ status: 200, edge: 'partial', body: TEXT });
  origin.saw('GET /a');
});

scenario('a part that may not be stored is no part', ALONE, async ({ origin, edge }) => {
  origin.answers('/a', { ...small, cacheControl: 'no-store' });
  await edge().get('/a', last(3)).sees({ status: 206, body: 'hij' });
  await edge().get('/a', last(3)).sees({ status: 206, edge: 'hit-for-miss', body: 'hij' });
});

/** It sends so many bytes, and no more to who asks for the rest. */
const broken = (bytes: number) =>
  [{ ...small, breaksAfter: bytes }, { status: 503 }] satisfies readonly Script[];

scenario('what came of an answer that broke off is completed', ALONE, async ({ origin, edge }) => {
  origin.answers('/a', ...broken(4));
  await edge().get('/a').breaksOff();
  origin.saw('GET /a', 'GET /a range bytes=4- if-range "1"');
  await edge().get('/a', { Range: 'bytes=1-3' }).sees({ status: 206, edge: 'fresh', body: 'bcd' });
  origin.answers('/a', ...broken(3));
  await edge().get('/a').breaksOff();
  origin.saw('GET /a range bytes=4- if-range "1"', 'GET /a range bytes=7- if-range "1"');
  origin.answers('/a', small);
  await edge().get('/a').sees({ status: 200, edge: 'partial', body: TEXT });
  await edge().get('/a').sees({ status: 200, edge: 'fresh', body: TEXT });
  origin.saw('GET /a range bytes=7- if-range "1"');
});

scenario('what broke off is completed tier by tier', async ({ origin, edge }) => {
  origin.answers('/a', ...broken(4));
  await edge().get('/a').breaksOff();
  await until(() => edge().node.engine.underWay.fills === 0);
  const before = origin.requests;
  origin.answers('/a', small);
  await edge().get('/a').sees({ status: 200, edge: 'partial', midTier: 'partial', body: TEXT });
  expect(origin.requests - before).toBe(1);
});

scenario('the beginning of another version is not combined', ALONE, async ({ origin, edge }) => {
  origin.answers('/a', ...broken(4));
  await edge().get('/a').breaksOff();
  origin.answers('/a', { ...small, etag: '"2"', body: 'ABCDEFGHIJ' });
  await edge().get('/a').sees({ status: 200, body: 'ABCDEFGHIJ' });
});

const KEPT_NOT: Readonly<Record<string, Script>> = {
  'without a strong validator': { etag: 'W/"1"' },
  'without a length': { fields: { 'Transfer-Encoding': 'chunked' } },
  'that may not be stored': { cacheControl: 'no-store' },
};
for (const [which, change] of Object.entries(KEPT_NOT)) {
  scenario(`of an answer ${which} nothing is kept`, ALONE, async ({ origin, edge }) => {
    origin.answers('/a', { ...small, ...change, breaksAfter: 4 }, { status: 503 });
    await edge().get('/a').breaksOff();
    await until(() => edge().node.engine.underWay.fills === 0);
    expect(edge().node.load().objects).toBe(0);
  });
}

scenario('a beginning takes the place of nothing that is whole', ALONE, async (world) => {
  const { origin, edge, clock } = world;
  origin.answers('/a', { ...small, cacheControl: 'max-age=10, stale-if-error=60' });
  await edge().get('/a').sees({ body: TEXT });
  clock.advance('11s');
  const next = { ...small, etag: '"2"', body: 'ABCDEFGHIJ', breaksAfter: 4 };
  origin.answers('/a', next, { status: 503 });
  await edge().get('/a').breaksOff();
  await until(() => edge().node.engine.underWay.fills === 0);
  await edge().get('/a').sees({ status: 200, edge: 'stale-if-error', body: TEXT });
});

scenario(
  'a purge while it comes leaves no beginning',
  ALONE,
  async ({ origin, edge, purge, gate }) => {
    const middle = gate();
    origin.answers('/a', { ...small, pausesAt: { bytes: 4, gate: middle } });
    const reading = edge().get('/a');
    await middle.reached();
    await until(() => edge().node.engine.underWay.waiters === 0);
    purge(['/a']);
    await origin.down();
    await reading.breaksOff();
    middle.open();
    await until(() => edge().node.engine.underWay.fills === 0);
    expect(edge().node.load().objects).toBe(0);
  },
);
