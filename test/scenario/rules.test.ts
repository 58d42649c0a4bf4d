import { expect } from 'vitest';
import { scenario } from './kit/scenario.ts';

scenario(
  'rules refuse requests, and later ones allow them again',
  {
    site: {
      rules: [
        { match: { method: ['POST'] }, deny: true },
        { match: { path: '/form' }, deny: false },
        { match: { headers: { 'user-agent': '*evil*' } }, deny: true },
      ],
    },
  },
  async ({ origin, edge }) => {
    origin.answers('/form', { cacheControl: 'max-age=60' });
    origin.answersTo('POST /form', { status: 200 });
    await edge().send('/a', { method: 'POST' }).sees({ status: 403, edge: 'denied' });
    await edge().send('/form', { method: 'POST' }).sees({ status: 200 });
    await edge().get('/form').sees({ status: 200 });
    await edge()
      .get('/form', { 'User-Agent': 'An Evil one' })
      .sees({ status: 403, edge: 'denied' });
    await edge().get('/form').sees({ edge: 'fresh' });
  },
);

scenario(
  'what a rule sets in a request is what the key and the origin see',
  {
    site: {
      key: { headers: ['x-plan'] },
      rules: [
        { requestHeaders: { set: { 'X-Plan': 'free' }, remove: ['x-secret-*'] } },
        { match: { cookies: { plan: 'gold' } }, requestHeaders: { set: { 'X-Plan': 'gold' } } },
      ],
    },
  },
  async ({ origin, edge }) => {
    origin.notes('x-plan', 'x-secret-a');
    origin.answers('/a', { cacheControl: 'max-age=60' });
    await edge().get('/a', { 'X-Plan': 'gold', 'X-Secret-A': '1' }).sees({ status: 200 });
    origin.saw('GET /a x-plan free');
    await edge().get('/a').sees({ edge: 'fresh' });
    await edge().get('/a', { Cookie: 'plan=gold' }).sees({ status: 200 });
    origin.saw('GET /a x-plan gold');
    await edge().get('/a', { Cookie: 'plan=gold' }).sees({ edge: 'fresh' });
  },
);

scenario(
  'answers are changed for each client, hits and misses alike',
  {
    site: {
      rules: [
        { responseHeaders: { remove: ['server'], set: { 'X-Country': '${client.country}' } } },
        {
          match: { contentType: ['text/html'], status: [200] },
          responseHeaders: { set: { 'X-Frame-Options': 'DENY' } },
        },
      ],
    },
  },
  async ({ origin, edge }) => {
    const fields = { Server: 'x', 'Content-Type': 'text/html' };
    origin.answers('/a', { cacheControl: 'max-age=60', fields });
    origin.answers('/b', { cacheControl: 'max-age=60', fields: { 'Content-Type': 'text/plain' } });
    for (const state of ['uri-miss', 'fresh']) {
      const { headers } = await edge().get('/a').sees({ status: 200 });
      expect(headers['cache-status']).toContain(state === 'fresh' ? 'hit' : state);
      expect(headers).toMatchObject({ 'x-country': 'ZZ', 'x-frame-options': 'DENY' });
      expect(headers).not.toHaveProperty('server');
      expect((await edge().get('/b')).headers).not.toHaveProperty('x-frame-options');
    }
  },
);
