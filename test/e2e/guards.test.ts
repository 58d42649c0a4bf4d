import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, get, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { RedisServer } from '#test/redis.ts';
import { mmdb } from '#test/routing/mmdb.ts';
import { canopy, curl, RunningUp } from './canopy.ts';

// Two edges of two threads each, a Redis, and an origin that counts what it is asked for.

const SECRET = 'a secret of the end-to-end tests';
const RULES = [
  { match: { path: '/asn', asn: [64_496] }, deny: true },
  { match: { path: '/signed/**' }, requireSignature: {} },
  { match: { path: '/limited/node' }, rateLimit: { requests: 20, windowSeconds: 600 } },
  {
    match: { path: '/limited/network' },
    rateLimit: { name: 'all', requests: 20, windowSeconds: 600, scope: 'network' },
  },
];

let root: string;
let redis: RedisServer;
let server: Server;
let up: RunningUp;
const asked: string[] = [];

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'canopy-guards-'));
  redis = await RedisServer.start();
  server = createServer((incoming, outgoing) => {
    asked.push(incoming.url ?? '');
    outgoing.writeHead(200, { 'Cache-Control': 'max-age=600' }).end('content');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const asns = join(root, 'asn.mmdb');
  await writeFile(asns, mmdb({ '127.0.0.0/8': { autonomous_system_number: 64_496 } }));
  const site = join(root, 'site.json');
  const signingKeys = [{ id: 'k1', secret: SECRET }];
  await writeFile(site, JSON.stringify({ rules: RULES, signingKeys }));
  await writeFile(join(root, 'k1.txt'), `${SECRET}\n`);
  const shape = ['--edges', '2', '--mid-tiers', '1', '--workers', '2', '--redis', redis.url];
  const content = ['--site', site, '--pull', `http://127.0.0.1:${port}`, '--geo-database', asns];
  up = await RunningUp.start(join(root, 'state'), ...shape, ...content);
});

afterAll(async () => {
  await up.end('SIGINT');
  server.closeAllConnections();
  server.close();
  await redis.end();
  await rm(root, { recursive: true, force: true, maxRetries: 10 });
});

const urlOf = (edge: number, path: string): string => `${up.ready.edges[edge]?.url}${path}`;

/** The status that a client gets over a connection of its own, and so of any thread. */
function status(url: string): Promise<number> {
  return new Promise((resolve, reject) => {
    get(url, { agent: false }, (incoming) => {
      incoming.resume();
      resolve(incoming.statusCode ?? 0);
    }).once('error', reject);
  });
}

const admitted = async (url: string, count: number): Promise<number> => {
  const statuses = await Promise.all(Array.from({ length: count }, () => status(url)));
  return statuses.filter((one) => one === 200).length;
};

/** What `canopy sign` signs. */
async function sign(url: string, ...more: string[]): Promise<string> {
  const key = ['--key-id', 'k1', '--key-file', join(root, 'k1.txt'), '--expires', '1h'];
  const { code, stdout, stderr } = await canopy(['sign', url, ...key, ...more]);
  expect([code, stderr]).toEqual([0, '']);
  return stdout.trim();
}

test('an edge knows autonomous systems by the database that it was given', async () => {
  expect(await curl(urlOf(0, '/asn'))).toMatchObject({ status: 403 });
});

test('the URLs that canopy sign has signed are one object, at every edge', async () => {
  const url = urlOf(0, '/signed/a?x=1');
  const unsigned = await curl(url);
  expect(unsigned.status).toBe(403);
  expect(JSON.parse(unsigned.body)).toMatchObject({ code: 'signature-missing' });
  const signed = await sign(url);
  expect(await curl(signed)).toMatchObject({ status: 200, body: 'content' });
  const other = await curl(await sign(url, '--prefix', '/signed/', '--address', '127.0.0.0/8'));
  expect(other.cacheStatus).toContain('hit');
  const changed = await curl(signed.replace('x=1', 'x=2'));
  expect(JSON.parse(changed.body)).toMatchObject({ code: 'signature-invalid' });
  const cookie = await sign(url, '--prefix', '/signed/', '--cookie');
  expect(cookie).toMatch(
    /^canopy-signature=v=1~k=k1~.*; Path=\/signed\/; Expires=.*; HttpOnly; SameSite=Lax$/,
  );
  const [pair = ''] = cookie.split(';');
  expect(await curl(url, '--cookie', pair)).toMatchObject({ status: 200 });
  expect(asked.filter((target) => target.startsWith('/signed'))).toEqual(['/signed/a?x=1']);
});

test('what cannot be signed is said in one line', async () => {
  const key = ['--key-id', 'k1', '--key-file', join(root, 'k1.txt'), '--expires', '1h'];
  const rows: readonly (readonly [string[], string])[] = [
    [['sign', 'nonsense', ...key], 'canopy: Cannot sign nonsense: Invalid URL (invalid-input)'],
    [['sign', 'http://a/', ...key, '--cookie'], 'give --prefix (invalid-input)'],
    [['sign', 'http://a/', ...key, '--address', 'here'], 'Neither an address nor a network: here'],
  ];
  for (const [args, message] of rows) {
    const { code, stderr } = await canopy(args);
    expect(code).toBe(1);
    expect(stderr).toContain(message);
  }
});

test('the threads of an edge admit as many as the limit says, together', async () => {
  expect(await admitted(urlOf(0, '/limited/node'), 100)).toBe(20);
  const refused = await curl(urlOf(0, '/limited/node'));
  expect(refused.status).toBe(429);
  expect(refused.fields.get('ratelimit')).toMatch(/^"default";r=0;t=\d+$/);
  expect(Number(refused.fields.get('retry-after'))).toBeGreaterThan(0);
  expect(await admitted(urlOf(1, '/limited/node'), 30)).toBe(20);
});

test('over the network, each edge learns what the other has admitted', async () => {
  const first = await admitted(urlOf(0, '/limited/network'), 15);
  expect(first).toBe(15);
  await expect
    .poll(async () => {
      const keys = (await redis.command('KEYS', 'canopy:rate:*')) as string[];
      return Promise.all(keys.map((key) => redis.command('GET', key)));
    })
    .toEqual(['15']);
  // It does not know of the others yet, and never admits more than its own count does.
  expect(await admitted(urlOf(1, '/limited/network'), 5)).toBe(5);
  await expect.poll(() => status(urlOf(1, '/limited/network'))).toBe(429);
  await expect.poll(() => status(urlOf(0, '/limited/network'))).toBe(429);
  const { body } = await curl(`${up.ready.edges[0]?.adminUrl}/metrics`);
  expect(body).toMatch(/canopy_network_limits_lost_total\{tier="edge"\} 0/);
  expect(body).toMatch(/canopy_errors_total\{[^}]*code="too-many-requests"[^}]*\} [1-9]/);
});

test('a lost Redis holds nobody up, and each edge counts on by itself', async () => {
  await redis.kill();
  expect(await status(urlOf(0, '/limited/network'))).toBe(429);
  expect(await status(urlOf(0, '/other'))).toBe(200);
});
