import { mkdtemp, rm } from 'node:fs/promises';
import type { Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type EdgeProcess, startEdgeOf, startOrigin, urlOf } from '#bench/disk-servers.ts';

let root: string;
let origin: Server;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'canopy-hit-lane-'));
  origin = await startOrigin();
});
afterAll(async () => {
  origin.close();
  origin.closeAllConnections();
  await rm(root, { recursive: true, force: true, maxRetries: 10 });
});

async function metric({ adminUrl }: EdgeProcess, name: string): Promise<number> {
  const text = await (await fetch(`${adminUrl}/metrics`)).text();
  return Number(new RegExp(`^${name}(?:\\{.*\\})? (\\d+)$`, 'm').exec(text)?.[1]);
}

test.each([
  { args: [], byLane: 2 },
  { args: ['--hit-lane', 'off'], byLane: 0 },
])('an edge with $args answers hits, $byLane of them by the lane', async ({ args, byLane }) => {
  const dir = join(root, String(byLane));
  const edge = await startEdgeOf(dir, urlOf(origin), { args });
  try {
    for (let i = 0; i < 3; i++) {
      const answer = await fetch(`${edge.url}/1024`);
      expect((await answer.arrayBuffer()).byteLength).toBe(1024);
    }
    await expect.poll(() => metric(edge, 'canopy_requests_total')).toBeGreaterThan(0);
    await expect.poll(() => metric(edge, 'canopy_hit_lane_requests_total')).toBe(byLane);
  } finally {
    await edge.close();
  }
});
