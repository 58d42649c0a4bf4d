import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { Agent } from 'undici';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type RunningControlPlane, startControlPlane } from '#control-plane/server.ts';
import { parseExposition, total } from '#test/telemetry/prometheus.ts';
import { canopy, LongRunning } from './canopy.ts';

// Nodes as processes, on disks that fill up, cannot be written, and have a reserve.

const ADMIN_TOKEN = 'the-token-of-the-disk-tests';
const SITES = ['ordinary', 'reserved', 'brief'] as const;
const hostOf = (site: string): string => `${site}.example.org`;

let root: string;
let controlPlane: RunningControlPlane;
const credentials = new Map<string, string>();
const agent = new Agent({ connections: 16 });
let version = 1;
/** Targets that the origin was asked for. */
let asked: string[] = [];
/** `/SITE/BYTES/NAME`. */
const origin = createServer((incoming, outgoing) => {
  const target = incoming.url ?? '';
  asked.push(target);
  const [, site, bytes = '0'] = target.split('/');
  outgoing.setHeader('Cache-Control', site === 'brief' ? 'max-age=1' : 'max-age=3600');
  outgoing.end(contentOf(target, Number(bytes)));
});

const contentOf = (target: string, bytes: number): string =>
  `${target} ${version};`.padEnd(bytes, '.');

async function api(path: string, content: unknown): Promise<Record<string, unknown>> {
  const { statusCode, body } = await agent.request({
    origin: controlPlane.url,
    path,
    method: 'PUT',
    headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' },
    body: JSON.stringify(content),
  });
  const answer = await body.text();
  if (statusCode >= 300) throw new Error(answer);
  return JSON.parse(answer) as Record<string, unknown>;
}

class Node {
  readonly #process: LongRunning;
  url = '';
  adminUrl = '';

  private constructor(tier: 'edge' | 'mid-tier', dir: string, args: readonly string[]) {
    this.#process = new LongRunning(
      [tier, '--name', tier, '--control-plane', controlPlane.url, '--dir', dir]
        .concat(['--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0', '--workers', '2'])
        .concat(args),
      { environment: { CANOPY_CREDENTIAL: credentials.get(tier) ?? '' } },
    );
  }

  static async start(tier: 'edge' | 'mid-tier', dir: string, ...args: readonly string[]) {
    const node = new Node(tier, dir, args);
    await node.#process.says('admin on ');
    const { stdout } = node.#process;
    node.url = /serving on (\S+)/.exec(stdout)?.[1] ?? '';
    node.adminUrl = /admin on (\S+)/.exec(stdout)?.[1] ?? '';
    return node;
  }

  async get(target: string): Promise<string> {
    const { statusCode, body } = await agent.request({
      origin: this.url,
      path: target,
      method: 'GET',
      headers: { host: hostOf(target.split('/')[1] ?? '') },
    });
    return statusCode === 200 ? body.text() : `status ${statusCode}: ${await body.text()}`;
  }

  async metric(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
    const { body } = await agent.request({
      origin: this.adminUrl,
      path: '/metrics',
      method: 'GET',
    });
    return total(parseExposition(await body.text(), 'prometheus'), name, labels);
  }

  async health() {
    const { statusCode, body } = await agent.request({
      origin: this.adminUrl,
      path: '/healthz',
      method: 'GET',
    });
    return { httpStatus: statusCode, ...((await body.json()) as Record<string, unknown>) };
  }

  end(): Promise<number | null> {
    return this.#process.end('SIGKILL');
  }
}

async function purge(...what: readonly string[]): Promise<void> {
  const access = ['--control-plane', controlPlane.url, '--token', ADMIN_TOKEN];
  const { code, stderr } = await canopy(['purge', ...what, '--wait', ...access]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
}

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'canopy-disk-e2e-'));
  origin.listen(0, '127.0.0.1');
  await once(origin, 'listening');
  controlPlane = await startControlPlane({
    dir: join(root, 'control-plane'),
    host: '127.0.0.1',
    port: 0,
    admin: { host: '127.0.0.1', port: 0 },
    adminToken: ADMIN_TOKEN,
    leaseMs: 1000,
    log: pino({ level: 'silent' }),
  });
  const servers = [{ url: `http://127.0.0.1:${(origin.address() as AddressInfo).port}` }];
  for (const name of SITES) {
    await api(`/v1/sites/${name}`, {
      name,
      hosts: [hostOf(name)],
      origin: { kind: 'pull', servers },
      cache: {
        staleIfErrorSeconds: 0,
        staleWhileRevalidateSeconds: 0,
        reserve: name !== 'ordinary',
      },
    });
  }
});
afterAll(async () => {
  await controlPlane.close();
  await agent.close();
  origin.closeAllConnections();
  origin.close();
  await rm(root, { recursive: true, force: true, maxRetries: 10 });
});

async function enrolled(tier: 'edge' | 'mid-tier', url = 'http://127.0.0.1:1'): Promise<void> {
  const location = { name: 'oslo', latitude: 59.91, longitude: 10.75 };
  const answer = await api(`/v1/nodes/${tier}`, { name: tier, tier, location, url });
  const { credential } = answer;
  if (typeof credential === 'string') credentials.set(tier, credential);
}

const run = (...command: readonly [string, ...string[]]): boolean =>
  spawnSync(command[0], command.slice(1)).status === 0;

describe('an edge whose disk is a small file system of its own', () => {
  let dir: string;
  let edge: Node | undefined;
  beforeEach(async (context) => {
    asked = [];
    dir = await mkdtemp(join(root, 'small-'));
    if (!run('mount', '-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', dir)) {
      context.skip('Only root may mount');
    }
    await enrolled('edge');
  });
  afterEach(async () => {
    await edge?.end();
    // Some of the tests mount it a second time.
    while (run('umount', '--lazy', dir));
  });

  const started = async (): Promise<Node> => {
    const disk = ['--disk', '1g', '--disk-dir', join(dir, 'store'), '--disk-keep-free', '1m'];
    return (edge = await Node.start('edge', await mkdtemp(join(root, 'edge-')), ...disk));
  };

  /** Takes all that the file system has left, and what has become free since. */
  async function fill(): Promise<void> {
    const file = createWriteStream(join(dir, 'of others'), { flags: 'a' });
    await new Promise((resolve) => {
      file.once('error', resolve);
      const more = (): void => void file.write(Buffer.alloc(16 * 1024), (error) => error ?? more());
      more();
    });
  }

  /** Has new objects stored until the disk fails. */
  async function untilItFails(node: Node, code: string, before: () => Promise<void>) {
    let count = 0;
    await expect
      .poll(async () => {
        await before();
        const target = `/ordinary/40000/new-${count++}`;
        expect(await node.get(target)).toBe(contentOf(target, 40_000));
        return node.health();
      })
      .toMatchObject({
        httpStatus: 200,
        status: 'degraded',
        reasons: ['disk-failing'],
        disk: { state: 'degraded', code },
      });
    expect(await node.metric('canopy_disk_works')).toBe(0);
    expect(await node.metric('canopy_disk_failures_total', { error: code })).toBeGreaterThan(0);
  }

  /** What is new is answered, kept in memory, and purged as ever. */
  async function servesFromMemory(node: Node, name: string): Promise<void> {
    const target = `/ordinary/40000/${name}`;
    for (let i = 0; i < 3; i++) expect(await node.get(target)).toBe(contentOf(target, 40_000));
    expect(asked.filter((one) => one === target)).toHaveLength(1);
    version++;
    await purge(`http://${hostOf('ordinary')}${target}`);
    expect(await node.get(target)).toBe(contentOf(target, 40_000));
  }

  /** It is used again once it works, and holds what comes then. */
  async function recovers(node: Node): Promise<void> {
    await expect.poll(() => node.health()).toMatchObject({ status: 'ok', disk: { state: 'ok' } });
    expect(await node.metric('canopy_disk_works')).toBe(1);
    const storedBefore = await node.metric('canopy_store_stored_total', { store: 'disk' });
    await node.get('/ordinary/40000/again');
    await expect
      .poll(() => node.metric('canopy_store_stored_total', { store: 'disk' }))
      .toBeGreaterThan(storedBefore);
  }

  test('goes on from memory while the disk is full, says so, and uses it again when there is room', async () => {
    const node = await started();
    expect(await node.health()).toMatchObject({ status: 'ok', disk: { state: 'ok' } });
    expect(await node.metric('canopy_disk_works')).toBe(1);
    await untilItFails(node, 'ENOSPC', fill);
    await servesFromMemory(node, 'full');
    await rm(join(dir, 'of others'));
    await recovers(node);
  });

  test('goes on from memory where the disk becomes read-only', async () => {
    const node = await started();
    await node.get('/ordinary/40000/before');
    await expect.poll(() => node.metric('canopy_disk_files')).toBe(1);
    expect(run('mount', '--bind', dir, dir)).toBe(true);
    expect(run('mount', '-o', 'remount,ro,bind', dir)).toBe(true);
    await untilItFails(node, 'EROFS', async () => undefined);
    await servesFromMemory(node, 'read-only');
    expect(run('mount', '-o', 'remount,rw,bind', dir)).toBe(true);
    await recovers(node);
  });

  test('starts without its disk where that cannot be written', async () => {
    await mkdir(join(dir, 'store'));
    expect(run('mount', '-o', 'remount,ro', dir)).toBe(true);
    const node = await started();
    await servesFromMemory(node, 'none');
    expect(await node.health()).toMatchObject({
      httpStatus: 200,
      reasons: ['disk-failing'],
      disk: { state: 'ended' },
    });
    expect(await node.metric('canopy_disk_works')).toBe(0);
  });
});

describe('a mid-tier with a reserve', () => {
  const BYTES = 600_000;
  const nodes: Node[] = [];
  let edge: Node;
  let midTier: Node;
  beforeAll(async () => {
    // So little memory that neither keeps such objects there.
    const memory = ['--memory', '1m'];
    const disk = ['--disk', '40m', '--reserve', '15m', '--disk-keep-free', '1m'];
    await enrolled('mid-tier');
    midTier = await Node.start('mid-tier', join(root, 'mid-tier'), ...memory, ...disk);
    nodes.push(midTier);
    await enrolled('mid-tier', midTier.url);
    await enrolled('edge');
    edge = await Node.start('edge', join(root, 'edge'), ...memory);
    nodes.push(edge);
  });
  afterAll(() => Promise.all(nodes.map((node) => node.end())));

  const targets = (site: string, count: number): string[] =>
    Array.from({ length: count }, (_, i) => `/${site}/${BYTES}/${i}`);

  async function get(wanted: readonly string[]): Promise<void> {
    for (const target of wanted) expect(await edge.get(target)).toBe(contentOf(target, BYTES));
  }

  const evicted = (site: string, reason: string): Promise<number> =>
    midTier.metric('canopy_site_store_evicted_total', { site, store: 'disk', reason });

  test('keeps there what sites ask for, whatever else comes, but for purges and what has expired', async () => {
    const kept = targets('reserved', 12);
    await get(kept);
    await expect
      .poll(() => midTier.metric('canopy_disk_reserved_bytes'))
      .toBeGreaterThan(12 * BYTES);
    await get(targets('brief', 2));
    await get(targets('ordinary', 120));
    await expect.poll(() => evicted('ordinary', 'capacity')).toBeGreaterThan(50);
    asked = [];
    await get(kept);
    expect(asked).toEqual([]);
    expect(await evicted('reserved', 'capacity')).toBe(0);
    // Those whose freshness has ended go by themselves.
    await expect.poll(() => evicted('brief', 'expired')).toBe(2);

    const [purged = ''] = kept;
    version++;
    await purge(`http://${hostOf('reserved')}${purged}`);
    await get([purged]);
    expect(asked).toEqual([purged]);
    expect(await evicted('reserved', 'purged')).toBe(1);
    expect(await midTier.metric('canopy_disk_reserved_bytes')).toBeLessThan(15 * 1024 ** 2);
    const held = await midTier.metric('canopy_site_store_bytes', { store: 'disk' });
    expect(held).toBeLessThanOrEqual(40 * 1024 ** 2);
  });
});
