import { expect, test } from 'vitest';
import { configOf, HeldOrigin, LoadClient, ThreadedNode } from './serving-threads.ts';

// Real worker threads: the promise of one fetch holds whichever thread a client's connection meets.

const CLIENTS = 1_000;
const BODY = Buffer.alloc(100_000, 'cold');

test.each([
  { threads: 'one thread each', edgeThreads: 1, midTierThreads: 1 },
  { threads: 'several threads each', edgeThreads: 3, midTierThreads: 2 },
])(
  '1,000 cold requests over three edges make one request of the origin: $threads',
  { timeout: 60_000 },
  async ({ edgeThreads, midTierThreads }) => {
    const origin = new HeldOrigin(BODY);
    const midTier = new ThreadedNode('mid-tier', 'frankfurt', midTierThreads);
    const edges = ['oslo', 'rome', 'lisbon'].map(
      (name) => new ThreadedNode('edge', name, edgeThreads),
    );
    try {
      await origin.start();
      await midTier.start(configOf(origin.url, []));
      const config = configOf(origin.url, [midTier]);
      await Promise.all(edges.map((edge) => edge.start(config)));
      const clients = Array.from(
        { length: CLIENTS },
        (_, i) => new LoadClient(`${edges[i % edges.length]?.url}/cold`),
      );
      await Promise.all(clients.map((client) => client.sent));
      await origin.asked;
      origin.open();
      const seen = new Set(await Promise.all(clients.map((client) => client.got)));
      expect([...seen]).toEqual([`200 ${BODY.length}`]);
      expect(origin.requests).toEqual(['GET /cold']);
    } finally {
      await Promise.all([...edges, midTier].map((node) => node.close()));
      origin.close();
    }
  },
);
