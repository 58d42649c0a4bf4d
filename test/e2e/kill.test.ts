import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RunningUp } from './canopy.ts';
import { agent, bodyOf, get, Load, OBJECTS } from './load.ts';

// kill -9 of one node after the other under load: every request is answered, with the right bytes.

const CLIENTS = 12;
/** Requests answered between one kill and the next. */
const ROUND = 400;

let root: string;
let server: Server;
let up: RunningUp;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'canopy-kill-'));
  server = createServer((incoming, outgoing) => {
    const body = bodyOf(Number(/\d+/.exec(incoming.url ?? '')?.[0] ?? 0));
    // Short freshness keeps the tiers busy with one another; half have no strong validator.
    outgoing.setHeader('Cache-Control', 'max-age=1');
    if (body.length % 2 === 0) outgoing.setHeader('ETag', `"${body.length}"`);
    if (incoming.headers['if-none-match'] === `"${body.length}"`) outgoing.writeHead(304).end();
    else outgoing.end(body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  up = await RunningUp.start(join(root, 'state'), '--pull', `http://127.0.0.1:${port}`);
});

afterAll(async () => {
  await up.end('SIGKILL');
  await agent.close();
  server.closeAllConnections();
  server.close();
  await rm(root, { recursive: true, force: true, maxRetries: 10 });
});

describe('kill -9 under load', () => {
  test('of any one node loses no request', async () => {
    const load = new Load(up.ready.edges.map(({ url }) => url));
    const clients = Array.from({ length: CLIENTS }, (_, i) => load.run(i));
    await load.answered(ROUND);
    for (const { pid, url } of [...up.ready.midTiers, ...up.ready.edges.slice(0, 1)]) {
      load.mayFail.add(url);
      process.kill(pid, 'SIGKILL');
      await load.answered(ROUND);
    }
    load.stop();
    await Promise.all(clients);
    expect(load.failures).toEqual([]);
  }, 60_000);

  test('of the origin leaves what is cached', async () => {
    const edge = up.ready.edges[1]?.url ?? '';
    const small = Array.from({ length: OBJECTS }, (_, i) => i).filter((i) => i % 10 !== 0);
    for (const index of small) expect(await get(edge, index)).toBe('right');
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
    for (const index of small) expect(await get(edge, index)).toBe('right');
  }, 60_000);
});
