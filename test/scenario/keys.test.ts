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
