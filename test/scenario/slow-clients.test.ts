import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { expect } from 'vitest';
import type { ScenarioNode } from './kit/node.ts';
import { scenario } from './kit/scenario.ts';
import { until } from './kit/until.ts';

const MIB = 1024 * 1024;

/** A client that has the header section and does not read on until it is told to. */
async function stalls({ url }: ScenarioNode, target: string): Promise<IncomingMessage> {
  const { hostname, port } = new URL(url);
  const headers = { Host: 'www.example.org' };
  const outgoing = request({ host: hostname, port, path: target, headers, agent: false });
  outgoing.end();
  const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage];
  return incoming;
}

scenario(
  'a client that does not read does not hold up another',
  { midTiers: [], site: { cache: { maxObjectBytes: 1000 } } },
  async ({ origin, edge, gate }) => {
    const slow = gate();
    // More than the sockets on the way take; without a length, so that it outgrows the limit late.
    const body = Buffer.alloc(32 * MIB, 'abcdefg');
    const fields = { 'Transfer-Encoding': 'chunked' };
    origin.answers('/big', { cacheControl: 'max-age=60', body, fields, waitsFor: slow });
    const stalled = stalls(edge(), '/big');
    const reading = stalls(edge(), '/big');
    await until(() => edge().node.engine.underWay.waiters === 2);
    slow.open();
    const late = await stalled;
    expect((await buffer(await reading)).equals(body)).toBe(true);
    expect((await buffer(late)).equals(body)).toBe(true);
    origin.saw('GET /big');
  },
);

scenario(
  'a client that does not read does not hold up what is stored',
  { midTiers: [] },
  async ({ origin, edge }) => {
    const body = Buffer.alloc(16 * MIB, 'abcdefg');
    origin.answers('/large', { cacheControl: 'max-age=60', body });
    const stalled = await stalls(edge(), '/large');
    await until(() => edge().node.load().objects === 1);
    const seen = await edge().get('/large').sees({ edge: 'fresh', status: 200 });
    expect(seen.body.equals(body)).toBe(true);
    expect((await buffer(stalled)).equals(body)).toBe(true);
    origin.saw('GET /large');
  },
);

scenario(
  'fills under way keep a quarter of the memory, and share what is beyond without keeping it',
  { midTiers: [], memoryBytes: MIB, isInMemory: true },
  async ({ origin, edge, gate }) => {
    const slow = gate();
    const body = Buffer.alloc(400_000, 'abcdefg');
    origin.answers('/large', { cacheControl: 'max-age=60', body, waitsFor: slow });
    const clients = [edge().get('/large'), edge().get('/large')];
    await until(() => edge().node.engine.underWay.waiters === 2);
    slow.open();
    for (const client of clients) await client.sees({ status: 200, edge: 'no-room', body });
    await until(() => edge().node.engine.underWay.fills === 0);
    expect(edge().node.engine.counters.notKept).toBe(1);
    expect(edge().node.load().objects).toBe(0);
    origin.saw('GET /large');
    origin.answers('/small', { cacheControl: 'max-age=60', body: Buffer.alloc(200_000) });
    await edge().get('/small').sees({ edge: 'uri-miss' });
    await edge().get('/small').sees({ edge: 'fresh' });
  },
);

scenario(
  'an answer without a length is kept as far as there is room',
  { midTiers: [], memoryBytes: MIB, isInMemory: true },
  async ({ origin, edge }) => {
    const body = Buffer.alloc(400_000, 'abcdefg');
    const fields = { 'Transfer-Encoding': 'chunked' };
    origin.answers('/large', { cacheControl: 'max-age=60', body, fields });
    await edge().get('/large').sees({ status: 200, body });
    await until(() => edge().node.engine.underWay.fills === 0);
    expect(edge().node.engine.counters.notKept).toBe(1);
    expect(edge().node.load().objects).toBe(0);
  },
);
