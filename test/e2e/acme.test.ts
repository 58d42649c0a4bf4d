import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestAuthority } from '#test/tls/authority.ts';
import { RunningUp } from './canopy.ts';

// A real authority (Pebble) that asks our routers for names and records, and an edge for challenges.

const NAME = 'default.cdn.test';

let root: string;
let up: RunningUp;
let pebble: ChildProcess;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'canopy-acme-'));
  const shape = ['--edges', '1', '--mid-tiers', '1', '--routers', '1'];
  up = await RunningUp.start(join(root, 'state'), ...shape);
  await api('PUT', '/v1/routing', { zones: [{ name: 'cdn.test' }] });
  const directory = await startPebble();
  const ca = ['--authority-ca', join(root, 'ca.pem')];
  const set = await up.command('certificates', 'authority', directory, '--agree-to-terms', ...ca);
  if (set.code !== 0) throw new Error(set.stderr);
});

afterAll(async () => {
  pebble.kill();
  await up.end('SIGTERM');
  await rm(root, { recursive: true, force: true, maxRetries: 10 });
});

async function api(method: string, path: string, body: object): Promise<void> {
  const { url, token } = up.ready.controlPlane;
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const answer = await fetch(new URL(path, url), { method, headers, body: JSON.stringify(body) });
  expect(answer.status).toBe(200);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

const file = (name: string): string => join(root, name);

/** @returns the URL of its directory */
async function startPebble(): Promise<string> {
  const authority = await TestAuthority.create();
  const { cert, key } = await authority.issue({ names: ['localhost'] });
  const port = await freePort();
  await writeFile(file('ca.pem'), authority.ca);
  await writeFile(file('cert.pem'), cert);
  await writeFile(file('key.pem'), key);
  const config = {
    listenAddress: `127.0.0.1:${port}`,
    managementListenAddress: `127.0.0.1:${await freePort()}`,
    certificate: file('cert.pem'),
    privateKey: file('key.pem'),
    httpPort: Number(new URL(up.ready.edges[0]?.url ?? '').port),
    tlsPort: 1,
    ocspResponderURL: '',
  };
  await writeFile(file('pebble.json'), JSON.stringify({ pebble: config }));
  const dns = up.ready.routers[0]?.dns;
  pebble = spawn(
    'pebble',
    ['-config', file('pebble.json'), '-dnsserver', `${dns?.host}:${dns?.port}`],
    { env: { ...process.env, PEBBLE_VA_NOSLEEP: '1' }, stdio: ['ignore', 'pipe', 'inherit'] },
  );
  await new Promise<void>((resolve) => {
    let said = '';
    // Read to its end, for a closed pipe would end Pebble.
    pebble.stdout?.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      if (said.includes('ACME directory available')) resolve();
    });
  });
  return `https://localhost:${port}/dir`;
}

test.for([
  ['http-01', 'plain', [NAME]],
  ['dns-01', 'wild', [NAME, `*.${NAME}`]],
] as const)('a certificate is ordered by %s, and is there', async ([challenge, name, hosts]) => {
  const order = ['certificates', 'order', name, '--challenge', challenge];
  const ordered = await up.command(...order, '--host', ...hosts);
  expect([ordered.code, ordered.stderr]).toEqual([0, '']);
  const listed = async () => (await up.command('certificates', 'list')).stdout;
  const orders = async () => (await up.command('certificates', 'orders')).stdout;
  await expect
    .poll(async () => (await listed()) + (await orders()), { timeout: 90_000, interval: 500 })
    .toMatch(new RegExp(`^${name} .*${hosts.at(-1)?.replaceAll(/[*.]/g, '\\$&')}.* acme `, 'm'));
  const got = await up.command('certificates', 'get', name);
  expect(JSON.parse(got.stdout)).toMatchObject({
    source: 'acme',
    names: expect.arrayContaining([...hosts]),
  });
});
