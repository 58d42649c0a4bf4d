import { expect } from 'vitest';
import { scenario } from './kit/scenario.ts';
import { until } from './kit/until.ts';

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

const LM = 'Thu, 01 Jan 2026 00:00:00 GMT';
/** Of a server that heeds no conditions, for the scripted one knows only entity tags. */
const dated = { cacheControl: 'max-age=10', lastModified: LM, body: 'one' } as const;
const ASKED = `/a if-modified-since ${LM}`;

scenario('RFC 9111 §4.3.5: HEAD renews what is stale', async ({ origin, edge, clock }) => {
  origin.answers('/a', { ...dated, fields: { 'X-Kept': 'k', 'X-New': '1' } });
  await edge().get('/a').sees({ body: 'one' });
  clock.advance('11s');
  origin.answersTo('HEAD /a', { ...dated, fields: { 'X-New': '2' } });
  const seen = await edge().send('/a', { method: 'HEAD' }).sees({ status: 200, edge: 'stale' });
  expect(seen.tiers.at(-2)?.parameters).toMatchObject({ fwd: 'stale', 'fwd-status': '200' });
  const headers = { 'x-kept': 'k', 'x-new': '2' };
  await edge().get('/a').sees({ edge: 'fresh', body: 'one', age: 0, headers });
  clock.advance('9s');
  await edge().get('/a').sees({ edge: 'fresh', age: 9 });
  origin.saw('GET /a', `HEAD ${ASKED}`);
});

scenario('HEAD that shows another version has it fetched', async ({ origin, edge, clock }) => {
  origin.answers('/a', dated);
  await edge().get('/a').sees({ body: 'one' });
  clock.advance('11s');
  const lastModified = 'Thu, 01 Jan 2026 00:00:05 GMT';
  const next = { ...dated, lastModified, body: 'two!', fields: { 'X-New': '2' } };
  origin.answers('/a', next);
  origin.answersTo('HEAD /a', next);
  const headers = { 'x-new': '2', 'content-length': '4' };
  await edge().send('/a', { method: 'HEAD' }).sees({ status: 200, headers });
  await edge().get('/a').sees({ edge: 'fresh', body: 'two!' });
  origin.saw('GET /a', `HEAD ${ASKED}`, `GET ${ASKED}`);
});

scenario('a server that knows no HEAD is asked by GET', async ({ origin, edge, clock }) => {
  origin.answers('/a', dated);
  await edge().get('/a');
  clock.advance('11s');
  origin.answersTo('HEAD /a', { status: 501 });
  await edge()
    .send('/a', { method: 'HEAD' })
    .sees({ status: 200, headers: { 'x-new': undefined } });
  await edge().get('/a').sees({ edge: 'fresh' });
});

scenario('what has no validator is not renewed by its length', async ({ origin, edge, clock }) => {
  const clockwork = { cacheControl: 'max-age=10', body: '10:15' };
  origin.answers('/a', clockwork);
  await edge().get('/a');
  clock.advance('11s');
  origin.answers('/a', { ...clockwork, body: '10:26' });
  await edge().send('/a', { method: 'HEAD' }).sees({ status: 200 });
  await edge().get('/a').sees({ edge: 'fresh', body: '10:26' });
  origin.saw('GET /a', 'GET /a');
});

scenario('GET waits for a HEAD that renews', async ({ origin, edge, clock, gate }) => {
  const slow = gate();
  origin.answers('/a', dated);
  await edge().get('/a');
  clock.advance('11s');
  origin.answersTo('HEAD /a', { ...dated, waitsFor: slow });
  const asked = edge().send('/a', { method: 'HEAD' });
  await slow.reached();
  const reading = edge().get('/a');
  await until(() => edge().node.engine.underWay.waiters === 2);
  slow.open();
  await asked.sees({ status: 200 });
  await reading.sees({ status: 200, body: 'one' });
  origin.saw('GET /a', `HEAD ${ASKED}`);
});
