import { expect } from 'vitest';
import { scenario } from './kit/scenario.ts';

const fresh = { cacheControl: 'max-age=3600' };
const TWO_EDGES = { edges: ['oslo', 'rome'] };
const IPHONE = { 'User-Agent': 'Mozilla/5.0 (iPhone) Mobile/15E148' };
const IPAD = { 'User-Agent': 'Mozilla/5.0 (iPad) Mobile/15E148' };

const cookie = (value: string) => ({ Cookie: value });
const version = (body: string) => ({ ...fresh, body });
const large = (tag: string) => ({ ...fresh, etag: `"${tag}"`, body: tag.repeat(5000) });

scenario(
  'large objects are told apart as others are, and purged with them',
  { ...TWO_EDGES, site: { key: { headers: ['x-tenant'] }, cache: { sliceAboveBytes: 4096 } } },
  async ({ origin, edge, purge }) => {
    origin.answers('/a', large('1'), large('2'));
    const part = { Range: 'bytes=0-2' };
    await edge('oslo')
      .get('/a', { 'X-Tenant': '1' })
      .sees({ body: '1'.repeat(5000) });
    await edge('oslo')
      .get('/a', { 'X-Tenant': '2' })
      .sees({ body: '2'.repeat(5000) });
    await edge('oslo')
      .get('/a', { 'X-Tenant': '1', ...part })
      .sees({ edge: 'fresh', body: '111' });
    await edge('rome')
      .get('/a', { 'X-Tenant': '2', ...part })
      .sees({ midTier: 'fresh', body: '222' });
    purge(['/a']);
    await edge('oslo').get('/a', { 'X-Tenant': '1' }).sees({ edge: 'uri-miss' });
  },
);

scenario(
  'those who wait for one object are not given that of another key',
  { ...TWO_EDGES, site: { key: { cookies: ['c'] } } },
  async ({ origin, edge, gate }) => {
    const slow = gate();
    origin.answers('/a', { ...fresh, body: 'one', waitsFor: slow }, version('two'));
    const one = edge().get('/a', cookie('c=1'));
    await slow.reached();
    await edge().get('/a', cookie('c=2')).sees({ body: 'two' });
    const another = edge().get('/a', cookie('c=1'));
    slow.open();
    await one.sees({ body: 'one' });
    await another.sees({ body: 'one' });
    expect(origin.requests).toBe(2);
  },
);

scenario(
  'what still holds is found again under its key',
  { site: { key: { cookies: ['c'] } } },
  async ({ origin, edge, clock }) => {
    origin.answers('/a', { cacheControl: 'max-age=10', etag: '"1"', body: 'one' });
    await edge().get('/a', cookie('c=1')).sees({ body: 'one' });
    clock.advance('11s');
    await edge().get('/a', cookie('c=1')).sees({ edge: 'stale', body: 'one' });
    await edge().get('/a', cookie('c=1')).sees({ edge: 'fresh', body: 'one' });
  },
);

scenario(
  'an uncacheable answer leaves what other keys have stored',
  { site: { key: { cookies: ['c'] } } },
  async ({ origin, edge }) => {
    origin.answers('/a', version('one'), { cacheControl: 'no-store', body: 'two' });
    await edge().get('/a', cookie('c=1')).sees({ body: 'one' });
    await edge().get('/a', cookie('c=2')).sees({ edge: 'no-store', body: 'two' });
    await edge().get('/a', cookie('c=1')).sees({ edge: 'fresh', body: 'one' });
  },
);

scenario(
  'an uncacheable answer keeps nobody from storing that of another key',
  { site: { key: { cookies: ['member'] } } },
  async ({ origin, edge, purge }) => {
    const forMembers = { cacheControl: 'no-store', body: 'members' };
    origin.answers('/a', forMembers, version('all'), forMembers);
    await edge().get('/a', cookie('member=1')).sees({ edge: 'no-store' });
    await edge().get('/a').sees({ edge: 'uri-miss', body: 'all' });
    await edge().get('/a').sees({ edge: 'fresh', body: 'all' });
    await edge().get('/a', cookie('member=1')).sees({ edge: 'hit-for-miss', body: 'members' });
    purge(['/a']);
    await edge().get('/a', cookie('member=1')).sees({ edge: 'no-store', body: 'members' });
  },
);

scenario(
  'a purge of a URL takes every spelling and variant of it',
  {
    ...TWO_EDGES,
    site: { key: { query: { exclude: ['utm_*'] }, cookies: ['c'], deviceClass: true } },
  },
  async ({ origin, edge, purge }) => {
    origin.answers('/a?x=1&y=2', version('old'));
    await edge('oslo')
      .get('/a?y=2&x=1', { ...IPHONE, Cookie: 'c=1' })
      .sees({ body: 'old' });
    await edge('oslo')
      .get('/a?x=1&y=2', { ...IPAD, Cookie: 'c=1' })
      .sees({ body: 'old' });
    await edge('oslo').get('/a?x=1&y=2', IPAD).sees({ body: 'old' });
    const reports = purge(['/a?y=2&utm_id=1&x=1']);
    expect(reports.get('oslo')).toMatchObject({ objects: 3 });
    expect(reports.get('frankfurt')).toMatchObject({ objects: 3 });
    origin.answers('/a?x=1&y=2', version('new'));
    await edge('oslo')
      .get('/a?x=1&y=2', IPAD)
      .sees({ edge: 'uri-miss', midTier: 'uri-miss', body: 'new' });
  },
);

scenario(
  'what a purge could not find after a change of the key is not found after the next either',
  async ({ origin, edge, midTier, purge, changeSite }) => {
    origin.answers('/a?x&y', version('old'));
    await edge().get('/a?y&x').sees({ body: 'old' });
    changeSite({ key: { sortQuery: false } });
    purge(['/a?y&x']);
    changeSite({});
    for (const node of [edge(), midTier()]) await node.stores(0);
    origin.answers('/a?x&y', version('new'));
    await edge().get('/a?y&x').sees({ edge: 'uri-miss', midTier: 'uri-miss', body: 'new' });
  },
);

scenario(
  'a mid-tier that has not heard of the new key keeps to that of the edge',
  { ...TWO_EDGES, site: { key: { query: 'none' } } },
  async ({ origin, edge, midTier, changeSite, clock, gate }) => {
    midTier().lags();
    changeSite({ key: { headers: ['x-tenant'] } });
    const slow = gate();
    origin.answers('/a?x', { ...fresh, body: 'one', waitsFor: slow }, version('two'));
    const one = edge().get('/a?x', { 'X-Tenant': '1' });
    const two = edge().get('/a?x', { 'X-Tenant': '2' });
    // The mid-tier waits for its own link before it asks upward.
    while (origin.requests < 2) {
      await new Promise((resolve) => setImmediate(resolve));
      clock.advance('1ms');
    }
    slow.open();
    const bodies = [(await one).body.toString(), (await two).body.toString()];
    expect(bodies.toSorted()).toEqual(['one', 'two']);
    origin.saw('GET /a?x', 'GET /a?x');
    midTier().catchesUp();
    const [ofOne = '', ofTwo = ''] = bodies;
    await edge('rome').get('/a?x', { 'X-Tenant': '1' }).sees({ midTier: 'fresh', body: ofOne });
    await edge('rome').get('/a?x', { 'X-Tenant': '2' }).sees({ midTier: 'fresh', body: ofTwo });
  },
);

scenario(
  'past its cap of variants a URL lets the oldest go, and counts it',
  { site: { cache: { maxVariants: 2 }, key: { cookies: ['c'] } } },
  async ({ origin, edge }) => {
    origin.answers('/a', fresh);
    for (const c of ['1', '2', '3']) await edge().get('/a', cookie(`c=${c}`));
    expect(edge().node.load().objects).toBe(2);
    expect(edge().node.engine.store.stats()[0]?.evicted.variants).toBe(1);
    await edge().get('/a', cookie('c=3')).sees({ edge: 'fresh' });
    await edge().get('/a', cookie('c=1')).sees({ edge: 'vary-miss' });
  },
);
