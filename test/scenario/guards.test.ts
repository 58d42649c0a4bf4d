import { get } from 'node:http';
import { expect } from 'vitest';
import { scenario } from './kit/scenario.ts';

const FRESH = { cacheControl: 'max-age=60' };

scenario(
  'images are embedded by pages of the site and of those it allows',
  { site: { rules: [{ match: { path: '/img/**' }, hotlink: { allow: ['*.friend.example'] } }] } },
  async ({ origin, edge }) => {
    origin.answers('/img/a', FRESH);
    origin.answers('/page', FRESH);
    const from = (page: string) => edge().get('/img/a', { Referer: page });
    await edge().get('/img/a').sees({ status: 200 });
    await from('https://www.example.org/page').sees({ edge: 'fresh' });
    await from('https://blog.friend.example/').sees({ edge: 'fresh' });
    await from('https://thief.example/').sees({ status: 403, edge: 'hotlink-denied' });
    await edge().get('/page', { Referer: 'https://thief.example/' }).sees({ status: 200 });
  },
);

scenario(
  'threads count together how often a client comes, hits included, and let it come again',
  {
    edges: ['one', 'two'],
    sharesLimits: true,
    site: { rules: [{ rateLimit: { requests: 3, windowSeconds: 10, announce: true } }] },
  },
  async ({ origin, edge, clock }) => {
    origin.answers('/a', FRESH);
    const first = await edge('one').get('/a').sees({ status: 200 });
    expect(first.headers['ratelimit-policy']).toBe('"default";q=3;w=10');
    expect(first.headers['ratelimit']).toBe('"default";r=2;t=11');
    await edge('two').get('/a').sees({ status: 200 });
    clock.advance('4s');
    await edge('one').get('/a').sees({ status: 200, edge: 'fresh' });
    const refused = await edge('two').get('/a').sees({ status: 429, edge: 'too-many-requests' });
    expect(refused.headers).toMatchObject({
      'retry-after': '7',
      ratelimit: '"default";r=0;t=7',
      'ratelimit-policy': '"default";q=3;w=10',
      'content-type': 'application/problem+json',
    });
    await edge('one').send('/a', { from: '127.0.0.9' }).sees({ status: 200 });
    clock.advance('7s');
    await edge('two').get('/a').sees({ status: 200 });
    await edge('two').get('/a').sees({ status: 200 });
    await edge('one').get('/a').sees({ status: 429 });
  },
);

scenario(
  'a client has so many requests under way over all threads, until they end in any way',
  {
    edges: ['one', 'two'],
    sharesLimits: true,
    site: { rules: [{ concurrency: { requests: 2 } }] },
  },
  async ({ origin, edge, gate }) => {
    const held = gate();
    origin.answers('/slow', { ...FRESH, waitsFor: held });
    origin.answers('/broken', { body: 'half of it', breaksAfter: 4, waitsFor: held });
    origin.answers('/a', FRESH);
    const slow = edge('one').get('/slow');
    const broken = edge('two').get('/broken');
    await held.reached(2);
    await edge('two').get('/a').sees({ status: 429, edge: 'too-many-at-once' });
    await edge('two').send('/a', { from: '127.0.0.9' }).sees({ status: 200 });
    held.open();
    await slow.sees({ status: 200 });
    await broken.breaksOff();
    await expect.poll(async () => (await edge('one').get('/a')).status).toBe(200);
    const both = await Promise.all([edge('one').get('/a'), edge('two').get('/a')]);
    expect(both.map(({ status }) => status)).toEqual([200, 200]);
  },
);

scenario(
  'a client that goes away has nothing under way any more',
  { site: { rules: [{ concurrency: { requests: 1 } }] } },
  async ({ origin, edge, gate }) => {
    const held = gate();
    origin.answers('/slow', { ...FRESH, waitsFor: held });
    origin.answers('/a', FRESH);
    const leaving = get(`${edge().url}/slow`, { headers: { Host: 'www.example.org' } });
    leaving.on('error', () => undefined);
    await held.reached();
    await edge().get('/a').sees({ status: 429 });
    leaving.destroy();
    await expect.poll(async () => (await edge().get('/a')).status).toBe(200);
    held.open();
  },
);

scenario(
  'who asks for many different things that are not there is not asked for upstream any more',
  {
    edges: ['one', 'two'],
    sharesLimits: true,
    site: {
      rules: [{ negativeLookups: { distinct: 3, windowSeconds: 60, banSeconds: 30 } }],
    },
  },
  async ({ origin, edge, clock }) => {
    for (const name of ['1', '2', '3']) origin.answers(`/${name}`, { status: 404 });
    origin.answers('/a', FRESH);
    await edge('one').get('/1').sees({ status: 404 });
    for (let i = 0; i < 5; i++) await edge('one').get('/1').sees({ status: 404 });
    await edge('one').get('/2').sees({ status: 404 });
    await edge('two').get('/a').sees({ status: 200 });
    await edge('two').get('/3').sees({ status: 404 });
    const refused = await edge('one').get('/a').sees({ status: 429, edge: 'too-many-lookups' });
    expect(refused.headers['retry-after']).toBe('30');
    await edge('two').get('/4').sees({ status: 429 });
    await edge('two').send('/a', { from: '127.0.0.9' }).sees({ status: 200 });
    clock.advance('31s');
    await edge('two').get('/a').sees({ status: 200 });
  },
);
