import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { pino } from 'pino';
import { Agent } from 'undici';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { type RunningControlPlane, startControlPlane } from '#control-plane/server.ts';
import { hash32 } from '#core/hash.ts';
import { canopy, LongRunning } from './canopy.ts';

// An edge with a disk store is ended by kill -9, and starts again on what it had.

const ADMIN_TOKEN = 'the-token-of-the-restart-tests';
const HOST = 'www.example.org';
const OBJECTS = 24;
/** Inline, in files of one block and of many, sliced, and large without a length or validator. */
const SIZES = [0, 900, 16_384, 40_000, 130_000, 700_000, 2_000_000, 9_000_000];

let root: string;
let version = 1;
const agent = new Agent({ connections: 16 });
const origin = createServer((incoming, outgoing) => {
  const target = incoming.url ?? '';
  const body = bodyOf(target, version);
  outgoing.setHeader('Cache-Control', 'max-age=3600');
  if (target.endsWith('0')) {
    // Without a length it is not sliced.
    outgoing.write(body.subarray(0, 1000));
    outgoing.end(body.subarray(1000));
    return;
  }
  const etag = `"${hash32(target, String(version))}"`;
  outgoing.setHeader('ETag', etag);
  const [, first = '0', last = ''] = /^bytes=(\d+)-(\d*)$/.exec(incoming.headers.range ?? '') ?? [];
  const part = body.subarray(Number(first), last === '' ? body.length : Number(last) + 1);
  const isPart = incoming.headers.range !== undefined && incoming.headers['if-range'] === etag;
  if (isPart) {
    const end = Number(first) + part.length - 1;
    outgoing.setHeader('Content-Range', `bytes ${first}-${end}/${body.length}`);
  }
  outgoing.writeHead(isPart ? 206 : 200).end(isPart ? part : body);
});
let originPort = 0;
let controlPlane: RunningControlPlane;
let credential = '';
let edge: LongRunning | undefined;
let url = '';
let adminUrl = '';

function bodyOf(target: string, of: number): Buffer {
  const seed = hash32(target);
  const body = Buffer.alloc(SIZES[seed % SIZES.length] ?? 0, `${target} ${of};`);
  for (let i = 0; i < body.length; i += 4099) body[i] = (seed + i) & 0xff;
  return body;
}

async function api(method: 'PUT' | 'POST', path: string, content?: unknown) {
  const { statusCode, body } = await agent.request({
    origin: controlPlane.url,
    path,
    method,
    headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' },
    ...(content !== undefined && { body: JSON.stringify(content) }),
  });
  const answer = (await body.json()) as Record<string, unknown>;
  if (statusCode >= 300) throw new Error(JSON.stringify(answer));
  return answer;
}

async function startOrigin(): Promise<void> {
  origin.listen(originPort, '127.0.0.1');
  await once(origin, 'listening');
  originPort = (origin.address() as AddressInfo).port;
}

async function stopOrigin(): Promise<void> {
  const closed = once(origin, 'close');
  origin.close();
  origin.closeAllConnections();
  await closed;
}

async function startEdge(): Promise<void> {
  edge = new LongRunning(
    [
      'edge',
      '--name',
      'edge-oslo',
      '--control-plane',
      controlPlane.url,
      '--dir',
      join(root, 'edge'),
    ]
      .concat(['--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0', '--workers', '2'])
      // So little memory that most is read from disk.
      .concat(['--memory', '4m', '--disk', '2g', '--disk-keep-free', '1m']),
    { environment: { CANOPY_CREDENTIAL: credential } },
  );
  await edge.says('admin on ');
  url = /serving on (\S+)/.exec(edge.stdout)?.[1] ?? '';
  adminUrl = /admin on (\S+)/.exec(edge.stdout)?.[1] ?? '';
}

/** @returns `right`, or what is wrong with the answer */
async function get(target: string, of = version): Promise<string> {
  const { statusCode, headers, body } = await agent.request({
    origin: url,
    path: target,
    method: 'GET',
    headers: { host: HOST },
  });
  const received = await buffer(body);
  if (statusCode !== 200) return `status ${statusCode}`;
  return received.equals(bodyOf(target, of))
    ? 'right'
    : `wrong: ${String(headers['cache-status'])}`;
}

const names = (round: number, kind: string): string[] =>
  Array.from({ length: OBJECTS }, (_, i) => `/${round}/${kind}/${i}`);

async function metric(name: string): Promise<number> {
  const { body } = await agent.request({ origin: adminUrl, path: '/metrics', method: 'GET' });
  const line = (await body.text()).split('\n').find((text) => text.startsWith(name));
  return Number(line?.split(' ').at(-1) ?? NaN);
}

/** Waits until nothing more is on its way to the disk. */
async function committed(): Promise<void> {
  let before = -1;
  await vi.waitFor(
    async () => {
      const now = await metric('canopy_store_stored_total{store="disk"');
      const isStill = now > 0 && now === before;
      before = now;
      expect(isStill).toBe(true);
    },
    { timeout: 20_000, interval: 300 },
  );
}

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'canopy-restart-'));
  await startOrigin();
  controlPlane = await startControlPlane({
    dir: join(root, 'control-plane'),
    host: '127.0.0.1',
    port: 0,
    admin: { host: '127.0.0.1', port: 0 },
    adminToken: ADMIN_TOKEN,
    leaseMs: 1000,
    log: pino({ level: 'silent' }),
  });
  const servers = [{ url: `http://127.0.0.1:${originPort}` }];
  await api('PUT', '/v1/sites/site', {
    name: 'site',
    hosts: [HOST],
    origin: { kind: 'pull', servers },
    // What is there is served as it is, not asked for elsewhere.
    cache: { staleIfErrorSeconds: 0 },
  });
  const location = { name: 'oslo', latitude: 59.91, longitude: 10.75 };
  const node = { name: 'edge-oslo', tier: 'edge', location, url: 'http://127.0.0.1:1' };
  credential = String((await api('PUT', '/v1/nodes/edge-oslo', node))['credential']);
});

afterAll(async () => {
  await edge?.end('SIGKILL');
  await controlPlane.close();
  await agent.close();
  origin.closeAllConnections();
  origin.close();
  await rm(root, { recursive: true, force: true, maxRetries: 10 });
});

test('kill -9 under write load, again and again: what was committed is served, nothing damaged is', async () => {
  const kept: string[] = [];
  for (let round = 0; round < 3; round++) {
    await startEdge();
    const first = names(round, 'first');
    for (const outcome of await Promise.all(first.map((name) => get(name)))) {
      expect(outcome).toBe('right');
    }
    await committed();
    kept.push(...first);
    // The kill comes while these are being written.
    const under = names(round, 'under');
    const load = under.map((name) => get(name).catch(() => 'cut'));
    await Promise.race(load.slice(round * 4));
    await edge?.end('SIGKILL');
    await Promise.all(load);
    await stopOrigin();
    await startEdge();
    for (const name of kept) expect({ name, is: await get(name) }).toEqual({ name, is: 'right' });
    for (const name of under) expect(await get(name)).toMatch(/^right$|^status 50/);
    expect(await metric('canopy_store_evicted_total{store="disk",reason="damaged"')).toBe(0);
    await edge?.end('SIGKILL');
    await startOrigin();
  }
}, 300_000);

async function purge(...what: readonly string[]): Promise<void> {
  const access = ['--control-plane', controlPlane.url, '--token', ADMIN_TOKEN];
  const { code, stderr } = await canopy(['purge', ...what, '--wait', ...access]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
}

test('what was purged while the node was down is not served when it is back', async () => {
  await startEdge();
  const [one, inSite] = ['/purged/while-down1', '/purged/while-down2'];
  expect(await get(one)).toBe('right');
  await committed();
  await edge?.end('SIGKILL');
  version = 2;
  await purge(`http://${HOST}${one}`);
  await startEdge();
  expect(await get(one)).toBe('right');
  expect(await get(inSite)).toBe('right');
  await committed();
  await edge?.end('SIGKILL');
  version = 3;
  await purge('--site', 'site');
  await startEdge();
  expect(await get(inSite)).toBe('right');
  await edge?.end('SIGKILL');
}, 120_000);

test('what was purged before the kill stays purged, also without a control plane', async () => {
  await startEdge();
  const [one, inSite] = ['/purged/before1', '/purged/before2'];
  for (const target of [one, inSite]) expect(await get(target)).toBe('right');
  await committed();
  version = 4;
  await purge(`http://${HOST}${one}`);
  await purge('--site', 'site');
  await edge?.end('SIGKILL');
  await controlPlane.close();
  await startEdge();
  for (const target of [one, inSite]) expect(await get(target)).toBe('right');
}, 120_000);
