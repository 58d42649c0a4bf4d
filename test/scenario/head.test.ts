import { scenario } from './kit/scenario.ts';

const fresh = { cacheControl: 'max-age=60', etag: '"1"', body: 'one' } as const;
const head = { method: 'HEAD', content: 'x', headers: { 'Content-Length': '1' } } as const;

scenario('HEAD that is passed on shows what is stored to be outdated', async ({ origin, edge }) => {
  origin.answers('/a', fresh);
  await edge().get('/a').sees({ body: 'one' });
  origin.answersTo('HEAD /a', fresh);
  await edge().send('/a', head).sees({ status: 200, edge: 'request-content' });
  await edge().get('/a').sees({ edge: 'fresh', body: 'one' });
  const next = { ...fresh, etag: '"2"', body: 'two!' };
  origin.answersTo('HEAD /a', next);
  origin.answers('/a', next);
  await edge().send('/a', head).sees({ status: 200, edge: 'request-content' });
  await edge().get('/a').sees({ edge: 'uri-miss', body: 'two!' });
});

scenario('a HEAD that fails tells nothing of the object', async ({ origin, edge }) => {
  origin.answers('/a', fresh);
  await edge().get('/a');
  origin.answersTo('HEAD /a', { status: 503 });
  await edge().send('/a', head).sees({ status: 503 });
  await edge().get('/a').sees({ edge: 'fresh' });
});
