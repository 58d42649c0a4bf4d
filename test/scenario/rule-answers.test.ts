import { scenario } from './kit/scenario.ts';

scenario(
  'redirects are made at the edge, of several rules by the last that leads anywhere',
  {
    site: {
      rules: [
        { redirect: { from: '/blog/**', to: '/posts/${1}', status: 308, maxAgeSeconds: 60 } },
        { redirect: { exact: { '/blog/1': 'https://example.net/one' } } },
        { match: { status: [302] }, responseHeaders: { set: { 'X-Rule': 'yes' } } },
      ],
    },
  },
  async ({ origin, edge }) => {
    await edge()
      .get('/blog/2?x=1')
      .sees({
        status: 308,
        body: '',
        edge: 'redirect',
        headers: {
          location: '/posts/2?x=1',
          'cache-control': 'max-age=60',
          'content-length': '0',
          'x-rule': undefined,
        },
      });
    await edge()
      .get('/blog/1')
      .sees({ status: 302, headers: { location: 'https://example.net/one', 'x-rule': 'yes' } });
    origin.saw();
  },
);

scenario(
  'what is rewritten is stored and purged under the URL that it is rewritten to',
  {
    site: {
      rules: [
        { rewrite: { query: { remove: ['utm_*'] } } },
        { rewrite: { from: '/v1/**', to: '/api/${1}' } },
        { rewrite: { from: '/api/old/*', to: '/api/${1}' } },
        { match: { path: '/api/**' }, cache: { minFreshSeconds: 3600 } },
      ],
    },
  },
  async ({ origin, edge, clock, purge }) => {
    origin.answers('/api/a', { cacheControl: 'max-age=1' });
    await edge().get('/v1/old/a?utm_id=7').sees({ edge: 'uri-miss', midTier: 'uri-miss' });
    origin.saw('GET /api/a');
    clock.advance('60s');
    await edge().get('/api/a').sees({ edge: 'fresh' });
    purge(['/v1/a']);
    await edge().get('/v1/a').sees({ edge: 'fresh' });
    purge(['/api/a']);
    await edge().get('/v1/a').sees({ status: 200, edge: 'uri-miss' });
    origin.saw('GET /api/a');
  },
);

scenario(
  'a rewrite that a client would lead out of its place is refused',
  { site: { rules: [{ rewrite: { to: '/files/${request.header.x-user}${request.path}' } }] } },
  async ({ origin, edge }) => {
    origin.answers('/files/ann/a', { cacheControl: 'max-age=60' });
    await edge().get('/a', { 'X-User': 'ann' }).sees({ status: 200 });
    await edge().get('/a', { 'X-User': '..' }).sees({ status: 400, edge: 'invalid-request' });
  },
);

scenario(
  'a site in maintenance answers so, hits included, but to those who are let in',
  {},
  async ({ origin, edge, changeSite }) => {
    origin.answers('/a', { cacheControl: 'max-age=600', body: 'a' });
    await edge().get('/a').sees({ body: 'a' });
    changeSite({
      rules: [
        {
          name: 'maintenance',
          match: { not: { address: ['127.0.0.9/32'] } },
          respond: {
            status: 503,
            retryAfterSeconds: 600,
            body: '<p>Back soon, ${request.header.user-agent}</p>',
          },
        },
      ],
    });
    await edge()
      .get('/a', { 'User-Agent': '<script>' })
      .sees({
        status: 503,
        body: '<p>Back soon, &lt;script&gt;</p>',
        edge: 'respond',
        headers: {
          'retry-after': '600',
          'cache-control': 'no-store',
          'content-type': 'text/html; charset=utf-8',
        },
      });
    await edge().send('/a', { method: 'HEAD' }).sees({ status: 503, body: '' });
    await edge().send('/a', { from: '127.0.0.9' }).sees({ body: 'a', edge: 'fresh' });
    changeSite({ rules: [] });
    await edge().get('/a').sees({ body: 'a', edge: 'fresh' });
  },
);

scenario(
  'each page is told what holds for it, of stored answers and errors alike',
  {
    site: {
      rules: [
        { cors: { origins: ['https://a.example', 'https://b.example'] } },
        { match: { path: '/secret' }, deny: true },
      ],
    },
  },
  async ({ origin, edge }) => {
    const fields = { 'Access-Control-Allow-Origin': 'https://c.example' };
    origin.answers('/a', { cacheControl: 'max-age=60', fields });
    for (const [page, leave] of [
      ['https://a.example', 'https://a.example'],
      ['https://b.example', 'https://b.example'],
      ['https://c.example', undefined],
    ] as const) {
      const headers = { 'access-control-allow-origin': leave, vary: 'Origin' };
      await edge().get('/a', { Origin: page }).sees({ status: 200, headers });
      await edge().get('/secret', { Origin: page }).sees({ status: 403, headers });
    }
    origin.saw('GET /a');
    const preflight = {
      method: 'OPTIONS',
      headers: { Origin: 'https://a.example', 'Access-Control-Request-Method': 'GET' },
    };
    await edge()
      .send('/a', preflight)
      .sees({
        status: 204,
        edge: 'cors-preflight',
        headers: {
          'access-control-allow-origin': 'https://a.example',
          'access-control-allow-methods': 'GET, HEAD, POST',
          'access-control-max-age': '600',
          vary: 'Origin',
          'content-length': undefined,
        },
      });
    origin.saw();
    origin.answersTo('OPTIONS /a', { status: 200 });
    await edge().send('/a', { method: 'OPTIONS' }).sees({ status: 200 });
  },
);
