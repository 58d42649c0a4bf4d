import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isRunning, kill, RunningUp } from './canopy.ts';
import { agent, bodyOf, Load } from './load.ts';

// What an operator does to a network that is at work: no client notices.

const CLIENTS = 8;
const ROUND = 300;

let root: string;
let server: Server;
let up: RunningUp;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'canopy-operate-'));
  server = createServer((incoming, outgoing) => {
    // Nothing is fresh, so that edges ask mid-tiers all the time.
    outgoing.setHeader('Cache-Control', 'max-age=0');
    outgoing.end(bodyOf(Number(/\d+/.exec(incoming.url ?? '')?.[0] ?? 0)));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const args = ['--edges', '2', '--mid-tiers', '2', '--pull', `http://127.0.0.1:${port}`];
  up = await RunningUp.start(join(root, 'state'), ...args);
});

afterAll(async () => {
  await up.end('SIGKILL');
  await agent.close();
  server.closeAllConnections();
  server.close();
  await rm(root, { recursive: true, force: true, maxRetries: 10 });
});

/** Runs `operate` under load. @returns what went wrong for clients */
async function failuresUnderLoad(operate: (load: Load) => Promise<void>): Promise<string[]> {
  const load = new Load(up.ready.edges.map(({ url }) => url));
  const clients = Array.from({ length: CLIENTS }, (_, i) => load.run(i));
  await load.answered(ROUND);
  await operate(load);
  await load.answered(ROUND);
  load.stop();
  await Promise.all(clients);
  return load.failures;
}

interface Node {
  readonly name: string;
  readonly tier: string;
  readonly inService: boolean;
  readonly draining: boolean;
}

const nodes = async (): Promise<Node[]> =>
  JSON.parse((await up.command('nodes', '--json')).stdout) as Node[];

test('the tier key is rotated under load', async () => {
  const failures = await failuresUnderLoad(async () => {
    const { code, stdout } = await up.command('tier-key', 'rotate', '--wait', '--json');
    expect({ code, ...JSON.parse(stdout) }).toEqual({ code: 0, tierKeyRotation: 'none' });
  });
  expect(failures).toEqual([]);
});

test('a mid-tier is drained, then stopped under load', async () => {
  const [midTier] = up.ready.midTiers;
  if (midTier === undefined) throw new Error('There is a mid-tier');
  const failures = await failuresUnderLoad(async (load) => {
    const { code, stdout } = await up.command('nodes', 'drain', midTier.name);
    expect({ code, stdout }).toEqual({ code: 0, stdout: `${midTier.name} is asked nothing new\n` });
    await load.answered(ROUND);
    kill(midTier, 'SIGTERM');
    await expect.poll(() => isRunning(midTier.pid)).toBe(false);
  });
  expect(failures).toEqual([]);
  expect((await nodes()).find(({ name }) => name === midTier.name)).toMatchObject({
    draining: true,
    // It has said that it leaves, so that no purge waits for its lease.
    inService: false,
  });
});
