import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Snapshot } from '#cli/top/snapshot.ts';
import { eventually } from '#test/eventually.ts';
import { canopy, onTerminal, RunningUp } from './canopy.ts';

let root: string;
let up: RunningUp;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'canopy-top-'));
  up = await RunningUp.start(join(root, 'state'));
}, 120_000);
afterAll(async () => {
  await up.end('SIGINT');
  await rm(root, { recursive: true, force: true, maxRetries: 10 });
});

test('canopy top tells what a real network serves: once, as JSON, and live on a terminal', async () => {
  const [edge] = up.ready.edges;
  for (let i = 0; i < 30; i++) await (await fetch(`${edge?.url}/`)).text();
  const seen = await eventually(async () => {
    const { stdout } = await up.command('top', '--json');
    const snapshot = JSON.parse(stdout) as Snapshot;
    expect(snapshot.edges.requestsPerSecond).toBeGreaterThanOrEqual(1);
    return snapshot;
  });
  expect(seen.edges.hitRatio).toBeGreaterThan(0.5);
  expect(seen.edges.p99Ms).toBeGreaterThan(0);
  const once = await up.command('top', '--once');
  expect(once.stdout).toMatch(/6 of 6 nodes in service/);
  const live = await onTerminal(['top', '--dir', up.dir], 'sq');
  expect(live.code).toBe(0);
  expect(live.stdout).toContain('\x1b[?1049h');
  expect(live.stdout.trimEnd().endsWith('\x1b[?1049l')).toBe(true);
});

test('a control plane that is not there is an error', async () => {
  const flags = ['--control-plane', 'http://127.0.0.1:9', '--token', 'any'];
  expect((await canopy(['top', '--once', ...flags])).code).toBe(1);
});
