import { expect } from 'vitest';
import { scenario } from './kit/scenario.ts';

const site = (source: string, more: object = {}) => ({
  functions: { main: { source, maxCpuMs: 500, ...more } },
  rules: [{ match: { not: { path: '/plain' } }, function: 'main' }],
});

scenario(
  'a function changes requests before the cache and answers after it',
  {
    site: site(`
      export function onRequest(request) {
        if (request.path === '/secret') return { status: 403, body: 'no' };
        const [, , ...rest] = request.path.split('/');
        return { ...request, path: '/' + rest.join('/'), query: '' };
      }
      export function onResponse(response, request) {
        response.headers['x-path'] = request.path;
        return response;
      }
    `),
  },
  async ({ origin, edge }) => {
    origin.answers('/a', { cacheControl: 'max-age=60', body: 'A' });
    origin.answers('/plain', { cacheControl: 'max-age=60', body: 'P' });
    await edge()
      .get('/one/a?x=1')
      .sees({ status: 200, body: 'A', headers: { 'x-path': '/a' } });
    await edge()
      .get('/two/a?x=2')
      .sees({ body: 'A', edge: 'fresh', headers: { 'x-path': '/a' } });
    await edge().get('/secret').sees({ status: 403, body: 'no', edge: 'function' });
    await edge()
      .get('/plain')
      .sees({ body: 'P', headers: { 'x-path': undefined } });
    origin.saw('GET /a', 'GET /plain');
  },
);

scenario(
  'a function gives an answer another body',
  {
    site: site(`export const onResponse = ({ status }) =>
      status === 404 ? { body: '<h1>Gone</h1>', headers: { 'content-type': 'text/html' } } : undefined`),
  },
  async ({ origin, edge }) => {
    origin.answers('/a', { status: 404, body: 'not found', cacheControl: 'max-age=60' });
    for (let i = 0; i < 2; i++) {
      await edge()
        .get('/a')
        .sees({
          status: 404,
          body: '<h1>Gone</h1>',
          headers: { 'content-type': 'text/html', 'content-length': '13' },
        });
    }
  },
);

const BROKEN = 'export const onRequest = () => { throw new Error("broken"); }';

scenario(
  'a function that fails is left out, where it is to fail open',
  { site: site(BROKEN) },
  async ({ origin, edge }) => {
    origin.answers('/a', { cacheControl: 'max-age=60', body: 'A' });
    await edge().get('/a').sees({ status: 200, body: 'A' });
    expect(String(edge().errors)).toContain('Function site/main failed (threw): Error: broken');
    edge().errors.splice(0);
  },
);

scenario(
  'a function that fails is an error, where it is to fail closed',
  { site: site(BROKEN, { onFailure: 'closed' }) },
  async ({ edge }) => {
    const { body } = await edge().get('/a').sees({ status: 500, edge: 'function-failed' });
    // What is wrong with it is for its author.
    expect(body.toString()).not.toContain('broken');
    edge().errors.splice(0);
  },
);

scenario(
  'a function that never ends keeps nobody else waiting',
  {
    site: {
      functions: {
        bad: { source: 'export const onRequest = () => { for (;;); }', onFailure: 'closed' },
      },
      rules: [{ match: { path: '/bad' }, function: 'bad' }],
    },
  },
  async ({ origin, edge }) => {
    origin.answers('/a', { cacheControl: 'max-age=60', body: 'A' });
    const bad = edge().get('/bad');
    await edge().get('/a').sees({ status: 200 });
    await bad.sees({ status: 500, edge: 'function-failed' });
    await edge().get('/bad').sees({ status: 500 });
    edge().errors.splice(0);
  },
);
