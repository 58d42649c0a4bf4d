import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, get as open, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { RunningUp } from './canopy.ts';

// Nodes of several threads on one port each: they fetch as one, and a purge is complete when all of
// them have heeded it.

const CONNECTIONS = 60;

let root: string;
let server: Server;
let up: RunningUp;
let version = 'old';
let asked = 0;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'canopy-workers-'));
  server = createServer((incoming, outgoing) => {
    if (incoming.method === 'GET') asked++;
    outgoing.writeHead(200, { 'Cache-Control': 'max-age=600' }).end(version);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const shape = ['--edges', '1', '--mid-tiers', '1', '--workers', '3'];
  up = await RunningUp.start(join(root, 'state'), '--pull', `http://127.0.0.1:${port}`, ...shape);
});

afterAll(async () => {
  await up.end('SIGINT');
  server.closeAllConnections();
  server.close();
  await rm(root, { recursive: true, force: true, maxRetries: 10 });
});

/** The bodies that so many clients get, each over a connection of its own. */
const bodies = async (): Promise<ReadonlySet<string>> =>
  new Set(await Promise.all(Array.from({ length: CONNECTIONS }, () => fetchOnce())));

function fetchOnce(): Promise<string> {
  return new Promise((resolve, reject) => {
    open(`${up.ready.edges[0]?.url}/page`, { agent: false }, (incoming) => {
      text(incoming).then(resolve, reject);
    }).once('error', reject);
  });
}

test('all threads of an edge serve, and all heed a purge', async () => {
  expect([...(await bodies())]).toEqual(['old']);
  expect(asked).toBe(1);
  version = 'new';
  expect([...(await bodies())]).toEqual(['old']);
  const purge = await up.command('purge', `${up.ready.edges[0]?.url}/page`, '--wait', '--json');
  expect(purge.code).toBe(0);
  const report = JSON.parse(purge.stdout) as { nodes: { node: string; objects: number }[] };
  // More than one copy shows that more than one thread has served.
  expect(report.nodes.find(({ node }) => node === 'edge-oslo')?.objects).toBeGreaterThan(1);
  expect([...(await bodies())]).toEqual(['new']);
  expect(asked).toBe(2);
});
