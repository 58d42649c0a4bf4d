import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { request } from 'undici';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { JournalEvent } from '#core/contract/event.ts';
import type { PurgeRecord } from '#control-plane/state/store.ts';
import { RedisServer } from '#test/redis.ts';
import { canopy, RunningUp } from './canopy.ts';
import { eventually } from '#test/eventually.ts';

// Two control planes on a real Redis, each killed under purges and readers: what was purged is never
// served once the purge is complete, and no event is lost or comes twice.

const HOST = 'www.test';
const PATHS = ['/a', '/b', '/c'];

let root: string;
let server: Server;
let redis: RedisServer;
let up: RunningUp;
/** What the origin says of each path. */
const versions = new Map(PATHS.map((path) => [path, 0]));

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'canopy-replicas-'));
  server = createServer(({ url = '' }, response) => {
    response.setHeader('Cache-Control', 'max-age=3600').end(String(versions.get(url)));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  redis = await RedisServer.start();
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  up = await RunningUp.start(
    join(root, 'up'),
    ...`--pull ${origin} --edges 2 --redis ${redis.url} --control-planes 2`.split(' '),
  );
});

afterAll(async () => {
  await up.end('SIGKILL');
  await redis.end();
  server.closeAllConnections();
  server.close();
  // A node that was killed with the network may still be writing.
  await rm(root, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
});

/** Asks the control planes in turn until one answers. */
async function ask<T>(method: 'GET' | 'POST', path: string, body?: object): Promise<T> {
  for (let attempt = 0; attempt < 600; attempt++) {
    const replica = up.ready.controlPlanes[attempt % 2];
    try {
      const answer = await request(new URL(path, replica?.url), {
        method,
        headers: {
          authorization: `Bearer ${up.ready.controlPlane.token}`,
          'content-type': 'application/json',
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      const text = await answer.body.text();
      if (answer.statusCode < 300) return JSON.parse(text) as T;
      if (answer.statusCode !== 503) throw new TypeError(text);
    } catch (error) {
      if (error instanceof TypeError) throw error;
    }
    await delay(50);
  }
  throw new Error('No control plane answers');
}

async function read(edge: string, path: string): Promise<number> {
  const { body, statusCode } = await request(edge + path, { headers: { host: HOST } });
  const text = await body.text();
  if (statusCode !== 200) throw new Error(`${edge}${path}: ${statusCode} ${text}`);
  return Number(text);
}

/** Purges one path after another, while readers look for what must be gone. */
class Traffic {
  readonly purges: PurgeRecord[] = [];
  readonly stale: string[] = [];
  readonly #edges = up.ready.edges.map(({ url }) => url);
  /** The oldest version that may be served of each path. */
  readonly #floors = new Map(versions);
  #stopped = false;

  run(): Promise<unknown> {
    const readers = this.#edges.flatMap((edge) => PATHS.map((path) => this.#read(edge, path)));
    return Promise.all([this.#purge(), ...readers]);
  }

  async completed(count: number): Promise<void> {
    const target = this.purges.length + count;
    while (this.purges.length < target) await delay(20);
  }

  stop(): void {
    this.#stopped = true;
  }

  async #read(edge: string, path: string): Promise<void> {
    while (!this.#stopped) {
      const floor = this.#floors.get(path) ?? 0;
      const found = await read(edge, path);
      if (found < floor) this.stale.push(`${edge}${path}: ${found} after ${floor}`);
      await delay(5);
    }
  }

  async #purge(): Promise<void> {
    for (let i = 0; !this.#stopped; i++) {
      const path = PATHS[i % PATHS.length] ?? '';
      const version = (versions.get(path) ?? 0) + 1;
      versions.set(path, version);
      let purge = await ask<PurgeRecord>('POST', '/v1/purges', { urls: [`http://${HOST}${path}`] });
      while (purge.status === 'pending') {
        purge = await ask<PurgeRecord>('GET', `/v1/purges/${purge.id}?waitMs=1000`);
      }
      this.#floors.set(path, version);
      this.purges.push(purge);
    }
  }
}

test('a killed control plane and a killed Redis lose nothing, and nothing purged is served', async () => {
  const traffic = new Traffic();
  const running = traffic.run();
  await traffic.completed(10);
  process.kill(up.ready.controlPlanes[0]?.pid ?? 0, 'SIGKILL');
  await traffic.completed(10);
  await redis.kill();
  await delay(1_000);
  await redis.start();
  await traffic.completed(10);
  traffic.stop();
  await running;

  expect(traffic.stale).toEqual([]);
  const journal = await ask<JournalEvent[]>('GET', '/v1/journal');
  expect(journal.map(({ sequence }) => sequence)).toEqual(journal.map((_, i) => i + 1));
  const ordered = journal.flatMap((event) => (event.type === 'purge' ? [event.purge.id] : []));
  expect(new Set(ordered).size).toBe(ordered.length);
  for (const { id, sequences } of traffic.purges) {
    expect(journal[(sequences[0] ?? 0) - 1]).toMatchObject({ type: 'purge', purge: { id } });
  }
  await eventually(async () => {
    const nodes = await ask<{ fence: number; inService: boolean }[]>('GET', '/v1/nodes');
    const expected = { fence: journal.length, inService: true };
    expect(nodes).toMatchObject(nodes.map(() => expected));
  });
});

test('a backup put back gives nodes a new journal, and they distrust what they hold', async () => {
  const file = join(root, 'backup');
  const { url } = up.ready.controlPlanes[1] ?? { url: '' };
  const connection = ['--control-plane', url, '--token', up.ready.controlPlane.token];
  expect(await canopy(['backup', file, ...connection])).toMatchObject({ code: 0 });
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  await ask('POST', '/v1/purges', { urls: [`http://${HOST}/a`] });
  const before = await ask<{ sequence: number }>('GET', '/v1/health');

  const restore = ['restore', file, '--redis', redis.url];
  const refused = await canopy(restore);
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('(conflict)') });
  await writeFile(join(root, 'cut'), (await readFile(file, 'utf8')).slice(0, -100));
  expect(
    await canopy(['restore', join(root, 'cut'), '--redis', redis.url, '--force']),
  ).toMatchObject({ code: 1, stderr: expect.stringContaining('(invalid-input)') });
  expect(await canopy([...restore, '--force'])).toMatchObject({ code: 0 });

  await eventually(async () => {
    const { sequence } = await ask<{ sequence: number }>('GET', '/v1/health');
    expect(sequence).toBeGreaterThan(before.sequence);
    const nodes = await ask<{ fence: number }[]>('GET', '/v1/nodes');
    expect(nodes).toMatchObject(nodes.map(() => ({ fence: sequence })));
  });
  versions.set('/b', 1_000);
  for (const edge of up.ready.edges) expect(await read(edge.url, '/b')).toBe(1_000);
});
