import { expect, test } from 'vitest';
import type { NodeStatus } from '#cli/api-types.ts';
import { snapshotOf } from '#cli/top/snapshot.ts';
import { topText } from '#cli/top/text.ts';

const node = (name: string, more: Partial<NodeStatus> = {}): NodeStatus => ({
  name,
  tier: 'edge',
  location: { name: 'oslo', latitude: 0, longitude: 0 },
  url: 'http://127.0.0.1:1',
  capacity: 1,
  draining: false,
  fence: 12,
  inService: true,
  leaseRemainingMs: 10_000,
  lastHeartbeat: { pid: 1, version: '1', at: 0, load: {} as never },
  ...more,
});

const total = (requests: number | null, more: object = {}) => ({
  requests,
  hits: requests === null ? null : requests / 2,
  bytesSent: requests === null ? null : requests * 1024,
  errors: 0,
  originRequests: 0,
  p99Ms: 12.5,
  ...more,
});

const traffic = (groups: Record<string, ReturnType<typeof total>>) => ({
  stepMs: 10_000,
  from: 0,
  groups: Object.entries(groups).map(([name, one]) => ({ name, total: one })),
});

const taken = snapshotOf(
  Date.UTC(2026, 10, 27, 12),
  12,
  [
    node('edge-quiet'),
    node('edge-busy', { fence: 10 }),
    node('edge-failing'),
    node('edge-gone', { inService: false }),
    node('edge-new', { lastHeartbeat: null }),
    node('edge-draining', { draining: true }),
  ],
  traffic({
    'edge-quiet': total(3),
    'edge-busy': total(3000),
    'edge-failing': total(30, { errors: 15 }),
  }),
  traffic({
    edge: total(3033),
    'mid-tier': total(500, { originRequests: 300 }),
  }),
  [
    { id: 'a', status: 'complete' },
    { id: 'b', status: 'pending' },
  ],
);

test('the worst nodes come first: out of service, then in error, then the busiest', () => {
  expect(taken.nodes.map(({ name }) => name)).toEqual([
    'edge-gone',
    'edge-new',
    'edge-draining',
    'edge-failing',
    'edge-busy',
    'edge-quiet',
  ]);
});

test('rates are per second, and the offload is of what clients ask for', () => {
  expect(taken.edges).toMatchObject({ requestsPerSecond: 101.1, hitRatio: 0.5, p99Ms: 12.5 });
  expect(taken.originRequestsPerSecond).toBe(10);
  expect(taken.offload).toBeCloseTo(1 - 10 / 101.1);
  expect(taken.purges).toEqual([{ id: 'b', status: 'pending' }]);
});

test('a text has the network in two lines, then a line for each node', () => {
  const lines = topText(taken).split('\n');
  expect(lines[0]).toBe('canopy top  12:00:00Z  journal at 12  3 of 6 nodes in service');
  expect(lines[1]).toContain('101 requests/s  50.0% hits  p99 13ms');
  expect(lines[1]).toContain('offload 90.1%  1 purge under way');
  expect(lines.find((line) => line.startsWith('edge-busy'))).toMatch(
    /^edge-busy +edge +oslo +in-service +2 +100 +50\.0% +13ms +100 KiB +0\.0$/,
  );
  expect(lines.find((line) => line.startsWith('edge-gone'))).toMatch(/lease-ended +0 +- +- +-/);
});

test('a low terminal hides what is least of a matter, and says how many', () => {
  const lines = topText(taken, { height: 8, order: 'requests' }).split('\n');
  expect(lines.length).toBe(8);
  expect(lines[4]).toMatch(/^edge-busy/);
  expect(lines.at(-1)).toBe('and 3 more');
});
