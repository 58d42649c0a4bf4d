import { scenario } from './kit/scenario.ts';

scenario('a fresh object is served without asking a parent', async ({ origin, edge, clock }) => {
  origin.answers('/logo', { cacheControl: 'max-age=60', body: 'logo' });
  await edge()
    .get('/logo')
    .sees({ status: 200, edge: 'uri-miss', midTier: 'uri-miss', body: 'logo' });
  clock.advance('59s');
  await edge()
    .get('/logo')
    .sees({ status: 200, edge: 'fresh', midTier: null, age: 59, body: 'logo' });
  origin.saw('GET /logo');
});

scenario(
  'age survives the mid-tier',
  { edges: ['oslo', 'rome'] },
  async ({ origin, edge, clock }) => {
    origin.answers('/logo', { cacheControl: 'max-age=60', etag: '"v1"' });
    await edge('oslo').get('/logo').sees({ edge: 'uri-miss', midTier: 'uri-miss' });
    clock.advance('40s');
    await edge('rome').get('/logo').sees({ midTier: 'fresh', age: 40 });
    clock.advance('25s');
    await edge('rome').get('/logo').sees({ edge: 'stale', midTier: 'stale', age: 0 });
    origin.saw('GET /logo', 'GET /logo if-none-match "v1"');
  },
);

scenario(
  'a stale object that still holds is validated, not fetched',
  async ({ origin, edge, clock }) => {
    origin.answers('/a', { cacheControl: 'max-age=10', etag: '"1"', body: 'unchanged' });
    await edge().get('/a').sees({ edge: 'uri-miss' });
    clock.advance('11s');
    await edge().get('/a').sees({ edge: 'stale', body: 'unchanged', status: 200 });
    clock.advance('9s');
    await edge().get('/a').sees({ edge: 'fresh', age: 9 });
    origin.saw('GET /a', 'GET /a if-none-match "1"');
  },
);

scenario('a stale object that has changed is replaced', async ({ origin, edge, clock }) => {
  origin.answers('/a', { cacheControl: 'max-age=10', etag: '"1"', body: 'old' });
  await edge().get('/a').sees({ body: 'old' });
  origin.answers('/a', { cacheControl: 'max-age=10', etag: '"2"', body: 'new' });
  clock.advance('11s');
  await edge().get('/a').sees({ edge: 'stale', body: 'new' });
  await edge().get('/a').sees({ edge: 'fresh', body: 'new' });
});

scenario(
  'stale content is served while it is renewed behind',
  async ({ origin, edge, clock, gate }) => {
    const slow = gate();
    const cacheControl = 'max-age=10, stale-while-revalidate=60';
    origin.answers(
      '/news',
      { cacheControl, body: 'old' },
      { cacheControl, body: 'new', waitsFor: slow },
    );
    await edge().get('/news').sees({ body: 'old' });
    clock.advance('11s');
    await edge().get('/news').sees({ edge: 'stale-while-revalidate', body: 'old' });
    await slow.reached();
    await edge().get('/news').sees({ edge: 'stale-while-revalidate', body: 'old' });
    slow.open();
    origin.saw('GET /news', 'GET /news');
  },
);

scenario('what is not storable is passed on every time', async ({ origin, edge }) => {
  origin.answers('/me', { cacheControl: 'private', body: 'mine' });
  await edge().get('/me').sees({ edge: 'private', midTier: 'private', body: 'mine' });
  await edge().get('/me').sees({ edge: 'hit-for-miss', midTier: 'hit-for-miss', body: 'mine' });
  origin.saw('GET /me', 'GET /me');
});

scenario('an answer with Set-Cookie is never stored', async ({ origin, edge }) => {
  origin.answers('/login', { cacheControl: 'max-age=60', fields: { 'Set-Cookie': 'id=1' } });
  await edge()
    .get('/login')
    .sees({ edge: 'set-cookie', headers: { 'set-cookie': 'id=1' } });
  await edge().get('/login').sees({ edge: 'hit-for-miss' });
  origin.saw('GET /login', 'GET /login');
});

scenario('the answer to an authorized request is kept from others', async ({ origin, edge }) => {
  origin.answers('/account', { cacheControl: 'max-age=60', body: 'secret' });
  await edge().get('/account', { Authorization: 'Basic x' }).sees({ edge: 'authorization' });
  origin.answers('/account', { status: 401, body: 'who are you' });
  await edge().get('/account').sees({ status: 401, body: 'who are you' });
  origin.saw('GET /account', 'GET /account');
});

scenario('variants are told apart by Vary', async ({ origin, edge }) => {
  const vary = { cacheControl: 'max-age=60', fields: { Vary: 'Accept-Language' } };
  origin.answers('/hello', { ...vary, body: 'hei' }, { ...vary, body: 'ciao' });
  await edge().get('/hello', { 'Accept-Language': 'no' }).sees({ body: 'hei' });
  await edge().get('/hello', { 'Accept-Language': 'it' }).sees({ edge: 'vary-miss', body: 'ciao' });
  await edge().get('/hello', { 'Accept-Language': 'no' }).sees({ edge: 'fresh', body: 'hei' });
  origin.saw('GET /hello', 'GET /hello');
});

scenario('clients that can take the same codings share a variant', async ({ origin, edge }) => {
  origin.answers('/app.js', { cacheControl: 'max-age=60', fields: { Vary: 'Accept-Encoding' } });
  await edge()
    .get('/app.js', { 'Accept-Encoding': 'gzip, deflate, br' })
    .sees({ edge: 'uri-miss' });
  await edge()
    .get('/app.js', { 'Accept-Encoding': 'br;q=1.0, gzip;q=0.5' })
    .sees({ edge: 'fresh' });
  origin.saw('GET /app.js');
});

scenario('HEAD is answered from what a GET stored', async ({ origin, edge }) => {
  origin.answers('/a', { cacheControl: 'max-age=60', body: 'twelve bytes' });
  await edge().get('/a').sees({ status: 200 });
  await edge()
    .send('/a', { method: 'HEAD' })
    .sees({ status: 200, body: '', edge: 'fresh', headers: { 'content-length': '12' } });
  origin.saw('GET /a');
});

scenario('a client that holds the current version is told so', async ({ origin, edge }) => {
  origin.answers('/a', { cacheControl: 'max-age=60', etag: '"1"', body: 'content' });
  await edge().get('/a').sees({ status: 200 });
  await edge().get('/a', { 'If-None-Match': '"1"' }).sees({ status: 304, body: '', edge: 'fresh' });
  await edge().get('/a', { 'If-None-Match': '"0"' }).sees({ status: 200, body: 'content' });
  origin.saw('GET /a');
});

scenario('a part is cut from the stored whole', async ({ origin, edge }) => {
  origin.answers('/a', { cacheControl: 'max-age=60', etag: '"1"', body: '0123456789' });
  const range = { Range: 'bytes=2-4' };
  const part = { status: 206, body: '234', headers: { 'content-range': 'bytes 2-4/10' } };
  await edge()
    .get('/a', range)
    .sees({ ...part, edge: 'uri-miss' });
  await edge()
    .get('/a', range)
    .sees({ ...part, edge: 'fresh' });
  await edge().get('/a', { Range: 'bytes=20-' }).sees({ status: 416 });
  origin.saw('GET /a');
});

scenario('an unsafe method forgets what it may have changed', async ({ origin, edge }) => {
  const cacheControl = 'max-age=60';
  origin.answers('/cart', { cacheControl, body: 'empty' }, { cacheControl, body: 'one item' });
  origin.answersTo('POST /cart', { status: 200 });
  await edge().get('/cart').sees({ body: 'empty' });
  await edge()
    .send('/cart', { method: 'POST', content: 'item=1' })
    .sees({ edge: 'method', body: 'item=1' });
  await edge().get('/cart').sees({ edge: 'uri-miss', midTier: 'uri-miss', body: 'one item' });
  origin.saw('GET /cart', 'POST /cart', 'GET /cart');
});

scenario('an unsafe method forgets what its answer names', async ({ origin, edge }) => {
  const cacheControl = 'max-age=60';
  origin.answers('/items', { cacheControl, body: 'none' }, { cacheControl, body: 'one' });
  origin.answersTo('POST /items/new', { status: 201, fields: { Location: '/items' } });
  await edge().get('/items').sees({ body: 'none' });
  await edge().send('/items/new', { method: 'POST', content: 'x' }).sees({ status: 201 });
  await edge().get('/items').sees({ body: 'one' });
});

scenario('a field that is for one client reaches nobody else', async ({ origin, edge, gate }) => {
  const slow = gate();
  origin.answers('/page', {
    cacheControl: 'max-age=60, no-cache="Set-Cookie"',
    fields: { 'Set-Cookie': 'id=1' },
    waitsFor: slow,
  });
  const first = edge().get('/page');
  await slow.reached();
  const second = edge().get('/page');
  slow.open();
  await first.sees({ status: 200 });
  await second.sees({ headers: { 'set-cookie': undefined } });
  await edge()
    .get('/page')
    .sees({ edge: 'fresh', headers: { 'set-cookie': undefined } });
  origin.saw('GET /page');
});

scenario('what is said to CDNs counts for every tier', async ({ origin, edge, clock }) => {
  const fields = { 'CDN-Cache-Control': 'max-age=60' };
  origin.answers('/a', { cacheControl: 'no-store', fields });
  await edge()
    .get('/a')
    .sees({ edge: 'uri-miss', headers: { 'cache-control': 'no-store' } });
  clock.advance('30s');
  await edge()
    .get('/a')
    .sees({ edge: 'fresh', headers: { 'cdn-cache-control': 'max-age=60' } });
  origin.saw('GET /a');
});

scenario('a validation updates what is told of an object, on every tier', async (world) => {
  const { origin, edge, clock } = world;
  const etag = '"1"';
  origin.answers(
    '/a',
    { cacheControl: 'max-age=10', etag, fields: { 'Content-Type': 'text/plain' } },
    { cacheControl: 'max-age=10', etag, fields: { 'Content-Type': 'text/html', 'X-New': 'yes' } },
  );
  await edge()
    .get('/a')
    .sees({ headers: { 'content-type': 'text/plain' } });
  clock.advance('11s');
  const headers = { 'content-type': 'text/html', 'x-new': 'yes' };
  await edge().get('/a').sees({ edge: 'stale', midTier: 'stale', headers });
  await edge().get('/a').sees({ edge: 'fresh', headers });
});

scenario('a stored error does not stand in for another', async ({ origin, edge, clock }) => {
  origin.answers('/a', { status: 503, cacheControl: 'max-age=10', body: 'first' });
  await edge().get('/a').sees({ status: 503, body: 'first' });
  origin.answers('/a', { status: 500, body: 'second' });
  clock.advance('11s');
  await edge().get('/a').sees({ status: 500, body: 'second' });
});

scenario(
  'what an answer names is forgotten at every parent that may hold it',
  { midTiers: ['frankfurt', 'london', 'paris'] },
  async ({ origin, edge }) => {
    const cacheControl = 'max-age=60';
    for (const item of ['/1', '/2', '/3', '/4', '/5', '/6']) {
      origin.answers(item, { cacheControl, body: 'old' }, { cacheControl, body: 'new' });
      origin.answersTo('POST /change', { status: 201, fields: { Location: item } });
      await edge().get(item).sees({ body: 'old' });
      await edge().send('/change', { method: 'POST', content: 'x' }).sees({ status: 201 });
      await edge().get(item).sees({ edge: 'uri-miss', body: 'new' });
    }
  },
);

const HONOURING = { site: { cache: { honourClientCacheControl: true } } };

scenario('a reload that the site honours reaches the origin', HONOURING, async (world) => {
  const { origin, edge, clock } = world;
  origin.answers(
    '/p',
    { cacheControl: 'max-age=60', body: 'a' },
    { cacheControl: 'max-age=60', body: 'b' },
  );
  await edge().get('/p').sees({ body: 'a' });
  clock.advance('5s');
  await edge().get('/p', { 'Cache-Control': 'no-cache' }).sees({ midTier: 'request', body: 'b' });
  await edge().get('/p', { 'Cache-Control': 'max-age=9' }).sees({ edge: 'fresh', body: 'b' });
});
