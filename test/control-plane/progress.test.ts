import { expect, test } from 'vitest';
import { type NodeState, settle, withCounts } from '#control-plane/purge/progress.ts';
import type { NodeProgress, PurgeRecord } from '#control-plane/state/store.ts';

const purge = (...nodes: NodeProgress[]): PurgeRecord => ({
  id: 'p',
  mode: 'hard',
  by: 'admin',
  targets: [],
  sequences: [6, 7],
  status: 'pending',
  createdAt: 1_000,
  nodes,
});
const progress = (node: string, status: NodeProgress['status']): NodeProgress => ({
  node,
  tier: 'edge',
  status,
  objects: 3,
  bytes: 30,
  fills: 1,
  tookMs: status === 'pending' ? null : 5,
});
const state = (node: string, fence: number, inService: boolean): NodeState => ({
  node,
  tier: 'edge',
  fence,
  inService,
});

type Row = [
  given: string,
  before: NodeProgress[],
  states: NodeState[],
  status: PurgeRecord['status'],
  nodes: Record<string, NodeProgress['status']>,
];

test.for<Row>([
  ['no node', [], [], 'complete', {}],
  ['a node in service that is behind', [], [state('a', 6, true)], 'pending', { a: 'pending' }],
  [
    'a node that has applied all of it',
    [],
    [state('a', 7, true)],
    'complete',
    { a: 'acknowledged' },
  ],
  ['a node out of service from the start', [], [state('a', 0, false)], 'complete', {}],
  [
    'a node whose lease ended meanwhile',
    [progress('a', 'pending')],
    [state('a', 6, false)],
    'complete',
    { a: 'lease-ended' },
  ],
  ['a node deleted meanwhile', [progress('a', 'pending')], [], 'complete', { a: 'lease-ended' }],
  [
    'a node that came into service while another was awaited',
    [progress('a', 'pending')],
    [state('a', 6, true), state('b', 5, true)],
    'pending',
    { a: 'pending', b: 'pending' },
  ],
  [
    'a node that was acknowledged and came back from further behind',
    [progress('a', 'acknowledged')],
    [state('a', 5, true)],
    'pending',
    { a: 'pending' },
  ],
])('%s', ([, before, states, status, nodes]) => {
  const settled = settle(purge(...before), states, 1_250);
  expect(settled.status).toBe(status);
  expect(settled.completedAt).toBe(status === 'complete' ? 1_250 : undefined);
  expect(Object.fromEntries(settled.nodes.map((n) => [n.node, n.status]))).toEqual(nodes);
  for (const node of settled.nodes) {
    expect(node.tookMs).toBe(node.status === 'pending' ? null : 250);
  }
});

test('origins and routers hold no copies, so nobody waits for them', () => {
  const states = (['origin', 'router'] as const).map((tier) => ({
    ...state(tier, 0, true),
    tier,
  }));
  expect(settle(purge(), states, 0)).toMatchObject({ status: 'complete', nodes: [] });
});

test('the time that a node took is kept once it is settled', () => {
  const settled = settle(purge(progress('a', 'acknowledged')), [state('a', 8, true)], 9_000);
  expect(settled.nodes[0]?.tookMs).toBe(5);
});

test('what nodes have reported is told of each', () => {
  const counts = new Map([['a', { objects: 4, bytes: 32, fills: 4 }]]);
  const counted = withCounts(purge(progress('a', 'pending'), progress('b', 'pending')), counts);
  expect(counted.nodes).toMatchObject([
    { node: 'a', status: 'pending', objects: 4, bytes: 32, fills: 4 },
    { node: 'b', objects: 3, bytes: 30, fills: 1 },
  ]);
});
