import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, onTestFinished, test } from 'vitest';
import { systemClock } from '#core/clock.ts';
import type { Config } from '#core/contract/event.ts';
import { siteSchema } from '#core/contract/site.ts';
import { NodeLease } from '#core/node/lease.ts';
import { NodeDisk } from '#core/serving/disk/node-disk.ts';
import { KeeperLink } from '#core/cache/disk/keeper-link.ts';
import { Threads } from '#core/serving/threads.ts';
import type { MetricName } from '#core/telemetry/metrics.ts';
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

/** Three threads of an edge before an origin whose `/cart` can be changed. @param onDisk they keep it there, too */
async function edge(module: string, onDisk = false) {
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
  const log = {
    warn: () => undefined,
    error: (...problem: unknown[]) => void errors.push(problem),
  };
  const disk = onDisk
    ? await NodeDisk.open({ dir: join(dir, 'disk'), budgetBytes: 1e8, clock: systemClock, log })
    : undefined;
  await disk?.follow('j');
  const threads = new Threads({
    module: new URL(module, import.meta.url),
    count: 3,
    data: {
      name: 'oslo',
      tier: 'edge',
      memoryBytes: 10_000_000,
      spill: { dir, bytes: 1_000_000 },
      lease: new NodeLease(systemClock).memory,
    },
    disk,
    log,
  });
  onTestFinished(async () => {
    await threads.close(1000);
    await disk?.close();
    origin.closeAllConnections();
    origin.close();
    await rm(dir, { recursive: true, force: true, maxRetries: 10 });
  });
  const network = { tierKey: 'a key for this test only' };
  const config: Config = {
    journal: 'j',
    sequence: 1,
    network,
    sites: [site],
    nodes: [],
    bans: [],
    certificates: [],
  };
  await threads.apply(config, undefined, false);
  const changes = (): void => void (value = 'new');
  return { threads, config, errors, disk, changes, url: await threads.listen('127.0.0.1', 0) };
}

/** All values of a metric together, or that of some labels. */
async function measuredOf(threads: Threads, name: MetricName, labels?: string): Promise<number> {
  const samples = new Samples();
  await threads.sample(samples);
  const values = samples.byMetric.get(name) ?? new Map<string, number>();
  if (labels !== undefined) return values.get(labels) ?? 0;
  return [...values.values()].reduce((sum, n) => sum + n, 0);
}

test('what one thread has seen changed, all have forgotten when the answer goes out', async () => {
  const { url, errors } = await edge('../../edge/worker.ts');
  expect([...(await bodies(url))]).toEqual(['old']);
  await send(url, 'POST');
  expect([...(await bodies(url))]).toEqual(['new']);
  expect(errors).toEqual([]);
});

test('what threads have counted outlives them, what they held does not', async () => {
  const { threads, config, errors, url } = await edge('./mortal-edge.ts');
  const measured = (name: MetricName): Promise<number> => measuredOf(threads, name);
  await bodies(url);
  // Nobody has asked for these before the threads fail.
  const event = { type: 'node.delete', name: 'rome', sequence: 2, at: 0 } as const;
  await threads.apply({ ...config, sequence: 2 }, event, false);
  const failed = () => measured('canopy_threads_failed_total');
  await expect.poll(failed).toBe(3);
  expect(await measured('canopy_threads')).toBe(3);
  expect(await measured('canopy_requests_total')).toBe(CONNECTIONS);
  expect(await measured('canopy_upstream_requests_total')).toBe(1);
  expect(await measured('canopy_store_objects')).toBe(0);
  expect(threads.load()).toMatchObject({ requests: CONNECTIONS, objects: 0, connections: 0 });
  expect(errors).toHaveLength(3);

  const answered = () => send(url, 'GET').catch(() => 'not yet');
  await expect.poll(answered).toBe('old');
  expect(await measured('canopy_requests_total')).toBe(CONNECTIONS + 1);
});

test('a purge counts as heeded only when what has replaced threads that died of it heeds it on disk', async () => {
  const { threads, config, disk, changes, url } = await edge('./mortal-edge.ts', true);
  const port = disk?.connect(9).port;
  if (port === undefined) throw new Error('The disk store cannot be opened');
  const link = new KeeperLink(port);
  expect([...(await bodies(url))]).toEqual(['old']);
  // In the memory of each thread or of some, and on disk.
  await expect.poll(() => measuredOf(threads, 'canopy_store_objects', 'disk')).toBe(1);
  changes();
  const target = { kind: 'site', site: 'site' } as const;
  const event = {
    type: 'purge',
    purge: { id: 'p', mode: 'hard', target },
    sequence: 2,
    at: systemClock.now(),
  } as const;
  await threads.apply({ ...config, sequence: 2 }, event, false);
  const scope = { kind: 'site', site: 'site' };
  expect((await link.recall())?.epochs).toContainEqual(
    expect.objectContaining({ scope, epoch: { hard: 2, soft: 0, softAt: 0 } }),
  );
  link.close();
  expect(await measuredOf(threads, 'canopy_threads_failed_total')).toBe(3);
  // They listen a moment later.
  const answers = new Set<string>();
  const answered = async () => {
    const answer = await send(url, 'GET').catch(() => 'not yet');
    answers.add(answer);
    return answer;
  };
  await expect.poll(answered).toBe('new');
  for (const body of await bodies(url).catch(() => [])) answers.add(body);
  expect(answers).not.toContain('old');
});
