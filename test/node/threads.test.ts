import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { systemClock } from '#core/clock.ts';
import { siteSchema } from '#core/contract/site.ts';
import { NodeLease } from '#core/node/lease.ts';
import { Threads } from '#core/serving/threads.ts';

const CONNECTIONS = 30;

/** The bodies that so many clients get, each over a connection of its own and so of any thread. */
const bodies = async (url: string): Promise<ReadonlySet<string>> =>
  new Set(await Promise.all(Array.from({ length: CONNECTIONS }, () => send(url, 'GET'))));

function send(url: string, method: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = { Host: 'www.example.org' };
    const outgoing = request(`${url}/cart`, { method, headers, agent: false }, (incoming) => {
      text(incoming).then(resolve, reject);
    });
    outgoing.once('error', reject);
    outgoing.end();
  });
}

test('what one thread has seen changed, all have forgotten when the answer goes out', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'canopy-threads-'));
  let value = 'old';
  const origin = createServer((incoming, outgoing) => {
    if (incoming.method === 'POST') value = 'new';
    outgoing.writeHead(200, { 'Cache-Control': 'max-age=600' }).end(value);
  });
  origin.listen(0, '127.0.0.1');
  await once(origin, 'listening');
  const { port } = origin.address() as AddressInfo;
  const site = siteSchema.parse({
    name: 'site',
    hosts: ['www.example.org'],
    origin: { kind: 'pull', servers: [{ url: `http://127.0.0.1:${port}` }] },
  });
  const errors: unknown[] = [];
  const threads = new Threads({
    module: new URL('../../edge/worker.ts', import.meta.url),
    count: 3,
    data: {
      name: 'oslo',
      tier: 'edge',
      memoryBytes: 10_000_000,
      spill: { dir, bytes: 1_000_000 },
      lease: new NodeLease(systemClock).memory,
    },
    log: { error: (...problem) => void errors.push(problem) },
  });
  try {
    const network = { tierKey: 'a key for this test only' };
    const config = { sequence: 1, network, sites: [site], nodes: [], bans: [] };
    await threads.apply(config, undefined, false);
    const url = await threads.listen('127.0.0.1', 0);
    expect([...(await bodies(url))]).toEqual(['old']);
    await send(url, 'POST');
    expect([...(await bodies(url))]).toEqual(['new']);
    expect(errors).toEqual([]);
  } finally {
    await threads.close(1000);
    origin.closeAllConnections();
    origin.close();
    await rm(dir, { recursive: true, force: true });
  }
});
