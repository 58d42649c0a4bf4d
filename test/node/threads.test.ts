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
import { Samples } from '#core/telemetry/samples.ts';

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
    await threads.apply({ sequence: 1, network, sites: [site], nodes: [] }, undefined, false);
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

const value = ({ byMetric }: Samples, name: 'canopy_requests_total' | 'canopy_store_objects') =>
  [...(byMetric.get(name)?.values() ?? [])].reduce((sum, number) => sum + number, 0);

test('what a thread has counted outlives it, what it held does not', async () => {
  const threads = new Threads({
    module: new URL('./mortal-worker.ts', import.meta.url),
    count: 2,
    data: {
      name: 'oslo',
      tier: 'edge',
      memoryBytes: 1_000_000,
      spill: { dir: tmpdir(), bytes: 0 },
      lease: new NodeLease(systemClock).memory,
    },
    log: { error: () => undefined },
  });
  const measured = async (): Promise<Samples> => {
    const samples = new Samples();
    await threads.sample(samples);
    return samples;
  };
  try {
    const config = { sequence: 1, network: { tierKey: 'a key' }, sites: [], nodes: [] };
    await threads.apply(config, undefined, false);
    expect(value(await measured(), 'canopy_requests_total')).toBe(10);
    expect(threads.load()).toMatchObject({ requests: 10, connections: 4, storedBytes: 20 });

    const event = { type: 'node.delete', name: 'rome', sequence: 2, at: 0 } as const;
    await threads.apply({ ...config, sequence: 2 }, event, false);
    await expect.poll(async () => value(await measured(), 'canopy_requests_total')).toBe(20);
    const after = await measured();
    expect(value(after, 'canopy_store_objects')).toBe(2);
    expect(after.byMetric.get('canopy_threads_failed_total')).toEqual(new Map([['', 2]]));
    expect(after.byMetric.get('canopy_threads')).toEqual(new Map([['', 2]]));
    expect(threads.load()).toMatchObject({
      requests: 20,
      hitBytes: 200,
      connections: 4,
      tunnels: 2,
    });
  } finally {
    await threads.close(0);
  }
});
