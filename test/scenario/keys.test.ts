import { expect } from 'vitest';
import type { SiteInput } from '#core/contract/site.ts';
import { scenario } from './kit/scenario.ts';

const fresh = { cacheControl: 'max-age=3600' };
const TWO_EDGES = { edges: ['oslo', 'rome'] };
const keyedBy = (key: SiteInput['key']) => ({ ...TWO_EDGES, site: { key } });

const IPHONE = { 'User-Agent': 'Mozilla/5.0 (iPhone) Mobile/15E148' };
const IPAD = { 'User-Agent': 'Mozilla/5.0 (iPad) Mobile/15E148' };

const cookie = (value: string) => ({ Cookie: value });
const wants = (value: string) => ({ 'Accept-Language': value });
const asks = (tenant: string, accept: string) => ({ 'X-Tenant': tenant, Accept: accept });
const version = (body: string) => ({ ...fresh, body });

scenario('parameters in another order name the same object', TWO_EDGES, async (world) => {
  const { origin, edge } = world;
  origin.answers('/a?x=1&y=2', version('a'));
  await edge('oslo').get('/a?y=2&x=1').sees({ edge: 'uri-miss', midTier: 'uri-miss', body: 'a' });
  await edge('oslo').get('/a?x=1&y=2').sees({ edge: 'fresh', body: 'a' });
  await edge('rome').get('/a?x=1&y=2').sees({ edge: 'uri-miss', midTier: 'fresh', body: 'a' });
  origin.saw('GET /a?x=1&y=2');
});

scenario(
  'a site whose origin minds the order keeps it',
  { site: { key: { sortQuery: false } } },
  async ({ origin, edge }) => {
    origin.answers('/a?y&x', version('yx'));
    origin.answers('/a?x&y', version('xy'));
    await edge().get('/a?y&x').sees({ body: 'yx' });
    await edge().get('/a?x&y').sees({ edge: 'uri-miss', body: 'xy' });
  },
);

scenario(
  'parameters that do not count are not sent to the origin',
  keyedBy({ query: { exclude: ['utm_*'] } }),
  async ({ origin, edge }) => {
    origin.answers('/a?id=1', version('a'));
    await edge('oslo').get('/a?utm_source=evil&id=1').sees({ edge: 'uri-miss', body: 'a' });
    await edge('oslo').get('/a?id=1').sees({ edge: 'fresh' });
    await edge('rome').get('/a?id=1&utm_id=7').sees({ midTier: 'fresh' });
    origin.answers('/a', version('none'));
    await edge('oslo').send('/a?utm_x', { method: 'HEAD' }).sees({ status: 200 });
    origin.saw('GET /a?id=1', 'GET /a');
  },
);

scenario(
  'without a query that counts every spelling is one object',
  keyedBy({ query: 'none' }),
  async ({ origin, edge }) => {
    origin.answers('/a', version('a'));
    await edge().get('/a?x=1').sees({ edge: 'uri-miss', body: 'a' });
    await edge().get('/a').sees({ edge: 'fresh' });
    origin.saw('GET /a');
  },
);

scenario(
  'a request that caches do not answer keeps its query, and forgets what it changed',
  keyedBy({ query: { include: ['id'] } }),
  async ({ origin, edge }) => {
    origin.answers('/a?id=1', version('old'), version('new'));
    origin.answersTo('POST /a?step=2&id=1', { status: 200 });
    await edge().get('/a?id=1&x').sees({ body: 'old' });
    await edge().send('/a?step=2&id=1', { method: 'POST', content: 'c' }).sees({ status: 200 });
    await edge().get('/a?id=1').sees({ edge: 'uri-miss', midTier: 'uri-miss', body: 'new' });
    origin.saw('GET /a?id=1', 'POST /a?step=2&id=1', 'GET /a?id=1');
  },
);

scenario(
  'a header tells objects apart on every tier',
  keyedBy({ headers: ['x-tenant'] }),
  async ({ origin, edge }) => {
    origin.notes('x-tenant');
    origin.answers('/a', version('one'), version('two'), version('none'));
    await edge('oslo').get('/a', { 'X-Tenant': '1' }).sees({ edge: 'uri-miss', body: 'one' });
    await edge('oslo').get('/a', { 'X-Tenant': '2' }).sees({ edge: 'vary-miss', body: 'two' });
    await edge('oslo').get('/a').sees({ edge: 'vary-miss', body: 'none' });
    await edge('oslo').get('/a', { 'X-Tenant': '1' }).sees({ edge: 'fresh', body: 'one' });
    await edge('rome').get('/a', { 'X-Tenant': '2' }).sees({ midTier: 'fresh', body: 'two' });
    origin.saw('GET /a x-tenant 1', 'GET /a x-tenant 2', 'GET /a');
  },
);

scenario(
  'a header that the client has taken away on the way tells nothing apart',
  { site: { key: { headers: ['x-tenant'] } } },
  async ({ origin, edge }) => {
    origin.notes('x-tenant');
    origin.answers('/a', version('of none'), version('of one'));
    await edge().get('/a', { 'X-Tenant': '1', Connection: 'x-tenant' }).sees({ body: 'of none' });
    await edge().get('/a', { 'X-Tenant': '1' }).sees({ edge: 'vary-miss', body: 'of one' });
    await edge().get('/a').sees({ edge: 'fresh', body: 'of none' });
    origin.saw('GET /a', 'GET /a x-tenant 1');
  },
);

scenario(
  'a cookie tells objects apart, others do not',
  keyedBy({ cookies: ['currency'] }),
  async ({ origin, edge }) => {
    origin.answers('/a', version('nok'), version('eur'));
    await edge('oslo').get('/a', cookie('id=1; currency=nok')).sees({ body: 'nok' });
    await edge('oslo')
      .get('/a', cookie('currency=eur; id=1'))
      .sees({ edge: 'vary-miss', body: 'eur' });
    await edge('oslo').get('/a', cookie('currency=nok; id=2')).sees({ edge: 'fresh', body: 'nok' });
    await edge('rome').get('/a', cookie('currency=eur')).sees({ midTier: 'fresh', body: 'eur' });
  },
);

scenario(
  'devices of one class share an object, and the origin is told the class',
  keyedBy({ deviceClass: true }),
  async ({ origin, edge }) => {
    origin.notes('x-device-class', 'user-agent');
    origin.answers('/a', version('small'), version('medium'));
    const claims = { ...IPHONE, 'X-Device-Class': 'desktop' };
    await edge('oslo').get('/a', claims).sees({ body: 'small' });
    await edge('oslo').get('/a', IPAD).sees({ edge: 'vary-miss', body: 'medium' });
    await edge('oslo')
      .get('/a', { 'User-Agent': 'Opera Mini/9' })
      .sees({ edge: 'fresh', body: 'small' });
    await edge('rome').get('/a', IPAD).sees({ midTier: 'fresh', body: 'medium' });
    origin.saw(
      'GET /a x-device-class phone user-agent Mozilla/5.0 (compatible; Canopy; phone) Mobile',
      'GET /a x-device-class tablet user-agent Mozilla/5.0 (compatible; Canopy; tablet)',
    );
  },
);

scenario(
  'countries have their own objects',
  { ...keyedBy({ country: true }), countries: { '127.0.0.2': 'NO', '127.0.0.3': 'IT' } },
  async ({ origin, edge }) => {
    origin.notes('x-country');
    origin.answers('/a', version('hei'), version('ciao'), version('?'));
    await edge('oslo').send('/a', { from: '127.0.0.2' }).sees({ body: 'hei' });
    await edge('oslo').send('/a', { from: '127.0.0.3' }).sees({ body: 'ciao' });
    await edge('rome').send('/a', { from: '127.0.0.2' }).sees({ midTier: 'fresh', body: 'hei' });
    await edge('rome').get('/a', { 'X-Country': 'NO' }).sees({ body: '?' });
    origin.saw('GET /a x-country NO', 'GET /a x-country IT', 'GET /a x-country ZZ');
  },
);

scenario(
  'languages of the site have their own objects, every other wish the first',
  keyedBy({ language: ['en', 'de'] }),
  async ({ origin, edge }) => {
    origin.notes('accept-language');
    origin.answers('/a', version('Hallo'), version('Hello'));
    await edge('oslo').get('/a', wants('fr, de-AT;q=0.9')).sees({ body: 'Hallo' });
    await edge('oslo').get('/a', wants('de')).sees({ edge: 'fresh', body: 'Hallo' });
    await edge('oslo').get('/a', wants('fr')).sees({ edge: 'vary-miss', body: 'Hello' });
    await edge('rome').get('/a').sees({ midTier: 'fresh', body: 'Hello' });
    origin.saw('GET /a accept-language de', 'GET /a accept-language en');
  },
);

scenario(
  'an object varies by what the origin names beside what the key does',
  keyedBy({ headers: ['x-tenant'] }),
  async ({ origin, edge }) => {
    const vary = { ...fresh, fields: { Vary: 'Accept' } };
    origin.answers('/a', ...['1 json', '1 html', '2 html'].map((body) => ({ ...vary, body })));
    await edge('oslo').get('/a', asks('1', 'json')).sees({ body: '1 json' });
    await edge('oslo').get('/a', asks('1', 'html')).sees({ edge: 'vary-miss', body: '1 html' });
    await edge('oslo').get('/a', asks('2', 'html')).sees({ edge: 'vary-miss', body: '2 html' });
    await edge('rome').get('/a', asks('1', 'html')).sees({ midTier: 'fresh', body: '1 html' });
  },
);

scenario(
  'those who wait for one object are not given that of another key',
  keyedBy({ cookies: ['c'] }),
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
  keyedBy({ query: { exclude: ['utm_*'] }, cookies: ['c'], deviceClass: true }),
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
  async ({ origin, edge, purge, changeSite }) => {
    origin.answers('/a?x&y', version('old'));
    await edge().get('/a?y&x').sees({ body: 'old' });
    changeSite({ key: { sortQuery: false } });
    purge(['/a?y&x']);
    changeSite({});
    origin.answers('/a?x&y', version('new'));
    await edge().get('/a?y&x').sees({ edge: 'purged', midTier: 'purged', body: 'new' });
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
      clock.advance('1s');
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
    expect(edge().node.counters.variantsDropped).toBe(1);
    await edge().get('/a', cookie('c=3')).sees({ edge: 'fresh' });
    await edge().get('/a', cookie('c=1')).sees({ edge: 'vary-miss' });
  },
);
