import { expect } from 'vitest';
import { scenario } from './kit/scenario.ts';

const TREE = { edges: ['oslo', 'rome', 'lisbon'], midTiers: ['frankfurt', 'london'] };

scenario('many clients at many edges make one request of the origin', TREE, async (world) => {
  const { origin, edge, gate } = world;
  const slow = gate();
  origin.answers('/cold', { cacheControl: 'max-age=60', body: 'x'.repeat(5000), waitsFor: slow });
  const clients = TREE.edges.flatMap((name) =>
    Array.from({ length: 50 }, () => edge(name).get('/cold')),
  );
  await slow.reached();
  slow.open();
  for (const client of clients) await client.sees({ status: 200, body: 'x'.repeat(5000) });
  origin.saw('GET /cold');
});

scenario('those who wait are sent bytes as they arrive', async ({ origin, edge, gate }) => {
  const middle = gate();
  const body = Buffer.alloc(200_000, 'ab');
  origin.answers('/video', {
    cacheControl: 'max-age=60',
    body,
    pausesAt: { bytes: 100_000, gate: middle },
  });
  const first = edge().get('/video');
  await middle.reached();
  const second = edge().get('/video');
  // The rest is held back, yet a part of the beginning can be answered in full.
  await edge().get('/video', { Range: 'bytes=0-9' }).sees({ status: 206, body: 'ababababab' });
  middle.open();
  await first.sees({ body });
  await second.sees({ body });
  origin.saw('GET /video');
});

scenario('a client that leaves does not end the fill', async ({ origin, edge, gate }) => {
  const slow = gate();
  origin.answers('/a', { cacheControl: 'max-age=60', body: 'whole', waitsFor: slow });
  const controller = new AbortController();
  const { request } = await import('node:http');
  const { hostname, port } = new URL(edge().url);
  const leaving = request({
    host: hostname,
    port,
    path: '/a',
    headers: { Host: 'www.example.org' },
    signal: controller.signal,
  });
  const left = new Promise((resolve) => void leaving.once('error', resolve));
  leaving.end();
  await slow.reached();
  controller.abort();
  await left;
  const waiting = edge().get('/a');
  slow.open();
  await waiting.sees({ status: 200, body: 'whole' });
  origin.saw('GET /a');
});

scenario('an uncacheable answer is for the one who asked', async ({ origin, edge, gate }) => {
  const slow = gate();
  origin.answers(
    '/me',
    { cacheControl: 'no-store', body: 'first', waitsFor: slow },
    { cacheControl: 'no-store', body: 'another' },
  );
  const first = edge().get('/me');
  await slow.reached();
  const second = edge().get('/me');
  slow.open();
  await first.sees({ body: 'first' });
  await second.sees({ body: 'another' });
  origin.saw('GET /me', 'GET /me');
});

scenario('a waiter whose variant it is not asks for its own', async ({ origin, edge, gate }) => {
  const slow = gate();
  const vary = { cacheControl: 'max-age=60', fields: { Vary: 'Accept-Language' } };
  origin.answers('/hello', { ...vary, body: 'hei', waitsFor: slow }, { ...vary, body: 'ciao' });
  const norwegian = edge().get('/hello', { 'Accept-Language': 'no' });
  await slow.reached();
  const italian = edge().get('/hello', { 'Accept-Language': 'it' });
  slow.open();
  await norwegian.sees({ body: 'hei' });
  await italian.sees({ body: 'ciao' });
});

scenario(
  'an object past the size limit streams through and is not stored',
  { site: { cache: { maxObjectBytes: 1000 } } },
  async ({ origin, edge }) => {
    const body = Buffer.alloc(3_000_000, 'z');
    // Without a length, so that it shows only on the way.
    origin.answers('/big', {
      cacheControl: 'max-age=60',
      body,
      fields: { 'Transfer-Encoding': 'chunked' },
    });
    await edge().get('/big').sees({ status: 200, body });
    await edge().get('/big').sees({ edge: 'hit-for-miss', body });
    expect(edge().node.load().objects).toBe(0);
    origin.saw('GET /big', 'GET /big');
  },
);

scenario(
  'memory stays within its budget',
  { memoryBytes: 200_000, isInMemory: true },
  async ({ origin, edge }) => {
    for (let i = 0; i < 50; i++) {
      origin.answers(`/${i}`, { cacheControl: 'max-age=60', body: Buffer.alloc(20_000) });
      await edge().get(`/${i}`).sees({ status: 200 });
    }
    const { objects, storedBytes } = edge().node.load();
    expect(storedBytes).toBeLessThanOrEqual(200_000);
    expect(objects).toBeGreaterThan(5);
    await edge().get('/49').sees({ edge: 'fresh' });
    await edge().get('/0').sees({ edge: 'uri-miss' });
  },
);

scenario('a truncated answer is neither stored nor taken for whole', async ({ origin, edge }) => {
  const body = 'y'.repeat(50_000);
  origin.answers('/a', { cacheControl: 'max-age=60', body, breaksAfter: 20_000 });
  await edge().get('/a').breaksOff();
  origin.answers('/a', { cacheControl: 'max-age=60', body });
  await edge().get('/a').sees({ status: 200, edge: 'uri-miss', body });
});
