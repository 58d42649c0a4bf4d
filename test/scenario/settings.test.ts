import { expect } from 'vitest';
import { scenario } from './kit/scenario.ts';

scenario(
  'freshness keeps within the bounds of the site',
  { site: { cache: { minFreshSeconds: 10, maxFreshSeconds: 60 } } },
  async ({ origin, edge, clock }) => {
    origin.answers('/short', { cacheControl: 'max-age=0' });
    origin.answers('/long', { cacheControl: 'max-age=3600' });
    origin.answers('/private', { cacheControl: 'private, max-age=0' });
    for (const path of ['/short', '/long', '/private']) await edge().get(path);
    clock.advance('9s');
    await edge().get('/short').sees({ edge: 'fresh' });
    await edge().get('/long').sees({ edge: 'fresh' });
    await edge().get('/private').sees({ edge: 'hit-for-miss' });
    clock.advance('51s');
    await edge().get('/long').sees({ edge: 'stale' });
  },
);

scenario(
  'errors are remembered as the site says of each',
  { site: { cache: { negativeFreshSeconds: { 404: 60, 503: 5 } } } },
  async ({ origin, edge, clock }) => {
    origin.answers('/404', { status: 404 });
    origin.answers('/503', { status: 503 });
    origin.answers('/410', { status: 410 });
    for (const path of ['/404', '/503', '/410']) await edge().get(path);
    clock.advance('4s');
    await edge().get('/404').sees({ status: 404, edge: 'fresh' });
    await edge().get('/503').sees({ status: 503, edge: 'fresh' });
    await edge().get('/410').sees({ status: 410, edge: 'hit-for-miss' });
    clock.advance('2s');
    await edge().get('/404').sees({ edge: 'fresh' });
    await edge().get('/503').sees({ status: 503, edge: 'stale' });
  },
);

scenario(
  'without the heuristic an answer that says nothing is not kept',
  { site: { cache: { heuristicFreshness: false } } },
  async ({ origin, edge }) => {
    origin.answers('/a', { lastModified: 'Mon, 01 Jan 2024 00:00:00 GMT' });
    await edge().get('/a').sees({ status: 200 });
    await edge().get('/a').sees({ edge: 'stale' });
  },
);

scenario(
  'a cookie is stored only where both site and origin allow it',
  { site: { cache: { storeSetCookie: true } } },
  async ({ origin, edge }) => {
    const fields = { 'Set-Cookie': 'theme=light' };
    origin.answers('/shared', { cacheControl: 'max-age=60', fields });
    origin.answers('/own', { etag: '"1"', fields });
    for (const path of ['/shared', '/own']) await edge().get(path);
    await edge()
      .get('/shared')
      .sees({ edge: 'fresh', headers: { 'set-cookie': 'theme=light' } });
    await edge().get('/own').sees({ edge: 'hit-for-miss' });
  },
);

scenario(
  'a site may keep what is authorized out of the cache',
  { site: { cache: { storeAuthorized: false } } },
  async ({ origin, edge }) => {
    origin.answers('/a', { cacheControl: 'public, max-age=60' });
    const authorized = { Authorization: 'Basic eDp5' };
    await edge().get('/a', authorized).sees({ status: 200, edge: 'authorization' });
    expect(edge().node.load().objects).toBe(0);
  },
);

scenario(
  'rules set what the answer they match is worth',
  {
    site: {
      cache: { defaultFreshSeconds: 10 },
      rules: [
        { match: { path: '/assets/**', status: ['200-299'] }, cache: { minFreshSeconds: 600 } },
        { match: { contentType: ['text/html'] }, cache: { maxFreshSeconds: 60 } },
        { match: { path: '/assets/big/*' }, cache: { maxObjectBytes: 5 } },
      ],
    },
  },
  async ({ origin, edge, clock }) => {
    const html = { 'Content-Type': 'text/html; charset=utf-8' };
    const cacheControl = 'max-age=1';
    origin.answers('/assets/a.js', { cacheControl });
    origin.answers('/assets/a.html', { cacheControl, fields: html });
    origin.answers('/assets/gone.js', { cacheControl, status: 410 });
    origin.answers('/assets/big/a.js', { cacheControl, body: 'too large' });
    origin.answers('/a.js', { cacheControl });
    const paths = [
      '/assets/a.js',
      '/assets/a.html',
      '/assets/gone.js',
      '/assets/big/a.js',
      '/a.js',
    ];
    for (const path of paths) await edge().get(path);
    clock.advance('5s');
    await edge().get('/assets/big/a.js').sees({ edge: 'hit-for-miss' });
    clock.advance('50s');
    await edge().get('/assets/a.js').sees({ edge: 'fresh', midTier: null });
    await edge().get('/assets/a.html').sees({ edge: 'fresh' });
    await edge().get('/assets/gone.js').sees({ edge: 'stale' });
    await edge().get('/a.js').sees({ edge: 'stale' });
    clock.advance('5s');
    await edge().get('/assets/a.js').sees({ edge: 'fresh' });
    await edge().get('/assets/a.html').sees({ edge: 'stale' });
  },
);

scenario(
  'rules that arrive count for what is stored already',
  async ({ origin, edge, changeSite }) => {
    origin.answers('/a', { cacheControl: 'max-age=60', etag: '"1"' });
    await edge().get('/a').sees({ status: 200 });
    changeSite({ rules: [{ match: { path: '/a' }, cache: { maxFreshSeconds: 0 } }] });
    await edge().get('/a').sees({ edge: 'stale' });
  },
);

scenario('an answer with too many tags is not stored', async ({ origin, edge }) => {
  const tags = Array.from({ length: 1001 }, (_, i) => `t${i}`);
  origin.answers('/a', { cacheControl: 'max-age=60', fields: { 'Surrogate-Key': tags.join(' ') } });
  await edge().get('/a').sees({ status: 200, edge: 'too-many-tags', midTier: 'too-many-tags' });
  expect(edge().node.load().objects).toBe(0);
});

scenario('an object keeps its tags', async ({ origin, edge, midTier }) => {
  origin.answers('/a', { cacheControl: 'max-age=60', fields: { 'Cache-Tag': 'a, b', xkey: 'c' } });
  await edge()
    .get('/a')
    .sees({ headers: { 'cache-tag': 'a, b', xkey: 'c' } });
  for (const { node } of [edge(), midTier()]) {
    const [object] = node.engine.store.lookup('site http://www.example.org/a');
    expect(object?.facts.tags).toEqual(['a', 'b', 'c']);
  }
});

scenario(
  'clients are spared the tags where the site says so',
  { site: { cache: { exposeTags: false } } },
  async ({ origin, edge, midTier }) => {
    origin.answers('/a', { cacheControl: 'max-age=60', fields: { 'Cache-Tag': 'a' } });
    const spared = { 'cache-tag': undefined };
    await edge().get('/a').sees({ edge: 'uri-miss', headers: spared });
    await edge().get('/a').sees({ edge: 'fresh', headers: spared });
    const [object] = midTier().node.engine.store.lookup('site http://www.example.org/a');
    expect(object?.facts.tags).toEqual(['a']);
  },
);
