import { scenario } from './kit/scenario.ts';

const HTML = { 'content-type': 'text/html; charset=utf-8' };

scenario(
  'people see the page of an error that the edge makes, and programs the error',
  {
    site: {
      rules: [
        { match: { path: '/secret' }, deny: true },
        { errorPage: { body: '<h1>${error.status} ${error.code}: ${request.path}</h1>' } },
        {
          match: { status: ['500-599'] },
          errorPage: { body: '<h1>${error.title}</h1>' },
        },
      ],
    },
  },
  async ({ origin, edge }) => {
    const body = '<h1>403 denied: /secret</h1>';
    const headers = { ...HTML, 'cache-control': 'no-store', 'content-length': '28' };
    await edge().get('/secret').sees({ status: 403, edge: 'denied', body, headers });
    await edge().get('/secret', { Accept: 'text/html, */*;q=0.1' }).sees({ status: 403, body });
    await edge().send('/secret', { method: 'HEAD' }).sees({ status: 403, body: '', headers });
    const problem = { 'content-type': 'application/problem+json' };
    for (const Accept of [
      'application/json',
      'application/json, text/plain, */*',
      'text/html;q=0.5, application/problem+json',
    ]) {
      await edge().get('/secret', { Accept }).sees({ status: 403, headers: problem });
    }
    await edge()
      .get('/secret', { Accept: 'application/json, text/html' })
      .sees({ status: 403, body });
    // What the origin says is its own.
    origin.answers('/a', { status: 500, body: 'broken' });
    await edge().get('/a').sees({ status: 500, body: 'broken' });
    await origin.down();
    await edge().get('/b').sees({ status: 502, body: '<h1>No parent could be reached</h1>' });
    origin.saw('GET /a');
  },
);

scenario(
  "a page is fetched and cached like any object, and stands in for the origin's errors where it is to",
  {
    site: {
      rules: [
        {
          match: { status: [404] },
          errorPage: { path: '/errors/404.html', fromOrigin: true, body: 'not there' },
        },
        { match: { status: [502] }, errorPage: { path: '/errors/502.html', body: 'sorry' } },
        { responseHeaders: { set: { 'X-Seen': 'yes' } } },
      ],
    },
  },
  async ({ origin, edge }) => {
    const page = { cacheControl: 'max-age=600', fields: { 'Content-Type': 'text/html' } };
    const gone = { status: 404, etag: '"x"', body: 'x', fields: { 'X-Cause': 'moved' } };
    origin.answers('/a', gone);
    origin.answers('/errors/404.html', { status: 500 });
    await edge().get('/a').sees({ status: 404, body: 'not there' });
    origin.saw('GET /a', 'GET /errors/404.html');
    origin.answers('/errors/404.html', { ...page, body: '<p>not here' });
    const headers = {
      'content-type': 'text/html',
      'content-length': '11',
      'x-cause': 'moved',
      'x-seen': 'yes',
      etag: undefined,
    };
    const conditional = { 'If-None-Match': '"y"', Range: 'bytes=0-1' };
    await edge().get('/a', conditional).sees({ status: 404, body: '<p>not here', headers });
  },
);

scenario(
  'a page that was fetched before is there when the origin is not',
  {
    site: {
      rules: [{ match: { status: [502] }, errorPage: { path: '/sorry', body: 'sorry' } }],
    },
  },
  async ({ origin, edge }) => {
    origin.answers('/sorry', { cacheControl: 'max-age=600', body: 'we are sorry' });
    await edge().get('/sorry').sees({ status: 200 });
    await origin.down();
    await edge().get('/a').sees({ status: 502, body: 'we are sorry' });
    await edge().send('/a', { method: 'POST', content: 'x' }).sees({
      status: 502,
      body: 'we are sorry',
    });
  },
);
