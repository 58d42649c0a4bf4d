import { expect } from 'vitest';
import { sealToken } from '#core/latency/measuring.ts';
import { sealKeysOf } from '#core/latency/seal.ts';
import { scenario } from './kit/scenario.ts';

const keys = sealKeysOf({ tierKey: 'a key for scenarios only' });
/** The scenarios' clock stands at the beginning of 2026. */
const NOW = Date.UTC(2026, 0, 1);
const token = (change: object = {}) =>
  sealToken(keys, { id: 'a', network: '127.0.0.0/24', until: NOW + 1000, ...change });

interface Echo {
  readonly echo: string;
  readonly receipt?: string;
  readonly roundTripMs?: number;
}

const echoed = (body: unknown): Echo => JSON.parse(String(body)) as Echo;

scenario('a client measures how far the edge is, by whatever name', async ({ edge, clock }) => {
  const path = `/.canopy/echo?token=${token()}`;
  const headers = {
    'access-control-allow-origin': '*',
    'timing-allow-origin': '*',
    'cache-control': 'no-store',
  };
  const asked = { host: 'nobody.example' };
  const first = await edge().send(path, asked).sees({ status: 200, headers });
  expect(echoed(first.body).receipt).toBeUndefined();
  clock.advance('42ms');
  const { echo } = echoed(first.body);
  const second = await edge().send(`${path}&echo=${echo}`, asked).sees({ status: 200, headers });
  expect(echoed(second.body)).toMatchObject({ roundTripMs: 42, receipt: expect.any(String) });
});

scenario('nobody is measured without a token of this network for him', async ({ edge, clock }) => {
  const path = '/.canopy/echo';
  const headers = { 'access-control-allow-origin': '*' };
  await edge().get(path).sees({ status: 403, headers });
  await edge().get(`${path}?token=nonsense`).sees({ status: 403 });
  const foreign = token({ network: '192.0.2.0/24' });
  await edge().get(`${path}?token=${foreign}`).sees({ status: 403 });
  await edge().get(`${path}?token=${token()}&echo=nonsense`).sees({ status: 403 });
  await edge()
    .send(`${path}?token=${token()}`, { method: 'POST' })
    .sees({ status: 405, headers: { allow: 'GET' } });
  clock.advance('1s');
  await edge().get(`${path}?token=${token()}`).sees({ status: 403 });
});

scenario('what only begins like it is the site’s', async ({ origin, edge }) => {
  origin.answers('/.canopy/echoes', { cacheControl: 'max-age=60', body: 'one' });
  await edge().get('/.canopy/echoes').sees({ status: 200, body: 'one' });
});

scenario(
  'routers that check the edge by its address are answered without a site',
  async ({ edge, origin }) => {
    await edge().send('/.canopy/health', { host: 'nobody.example' }).sees({ status: 200 });
    expect(origin.requests).toBe(0);
  },
);
