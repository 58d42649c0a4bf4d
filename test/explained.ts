import type { Explained, NodeExplanation, TierAsked } from '#core/contract/explain.ts';

/** What an edge `a` says of a miss, but for what a test is about. */
export const explained = (
  change: Partial<NodeExplanation> = {},
  next: TierAsked | null = null,
): Explained => ({
  explanation: {
    node: 'a',
    tier: 'edge',
    at: 1,
    fence: 7,
    leaseEnded: false,
    threads: [{ slot: 0, isHome: true, action: 'fill', reason: 'uri-miss' }],
    verdict: 'miss',
    reason: 'uri-miss',
    because: 'nothing stored under this key',
    status: null,
    site: 'one',
    hostPattern: '*',
    rules: [],
    guards: [],
    key: { text: 'one /a', inputs: [] },
    stored: [],
    banned: false,
    hitForMiss: false,
    fill: null,
    parents: { asks: true, order: [], skipped: [] },
    near: { keys: [], alike: 0, looked: 0, of: 0, sampled: false },
    hints: [],
    ...change,
  },
  key: 'one /a',
  next,
});

/** A parent in the order of a node. */
export const parent = (
  name: string,
  tier: NodeExplanation['parents']['order'][number]['tier'],
): NodeExplanation['parents']['order'][number] => ({
  name,
  tier,
  place: 'preferred',
  standing: 'closed',
  share: 1,
  underWay: 0,
  why: 'the object’s own',
});
