import { expect, test } from 'vitest';
import type { NodeStatus } from '#cli/api-types.ts';
import { laggards } from '#cli/up/ready.ts';

const load = {
  requests: 0,
  hits: 0,
  hitBytes: 0,
  upstreamRequests: 0,
  bytesSent: 0,
  objects: 0,
  storedBytes: 0,
  connections: 0,
  tunnels: 0,
};

const status = (fence: number, pid: number | undefined): NodeStatus => ({
  name: 'edge-oslo',
  tier: 'edge',
  location: { name: 'oslo', latitude: 0, longitude: 0 },
  url: 'http://127.0.0.1:1',
  capacity: 1,
  draining: false,
  fence,
  inService: true,
  leaseRemainingMs: 10_000,
  lastHeartbeat: pid === undefined ? null : { pid, version: '1', at: 0, load },
});

test.each([
  ['up to date', [status(7, 42)], []],
  ['ahead', [status(8, 42)], []],
  ['behind', [status(6, 42)], ['edge-oslo is at 6 of 7']],
  ['silent', [status(7, undefined)], ['edge-oslo has sent no heartbeat']],
  ['heard before this start', [status(7, 41)], ['edge-oslo has sent no heartbeat']],
  ['not there', [], ['edge-oslo is unknown to the control plane']],
])('a node that is %s', (_title, statuses, reasons) => {
  expect(laggards([{ name: 'edge-oslo', pid: 42 }], statuses, 7)).toEqual(reasons);
});
