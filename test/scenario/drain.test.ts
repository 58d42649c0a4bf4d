import { expect } from 'vitest';
import type { Node } from '#core/contract/node.ts';
import { scenario } from './kit/scenario.ts';

const SHIELDS = ['frankfurt', 'london'];

scenario(
  'a mid-tier that drains is asked nothing; taken back, it is asked for its share',
  { midTiers: SHIELDS },
  async ({ edge, midTier, origin, publish }) => {
    const asked = async (round: string): Promise<readonly number[]> => {
      const before = SHIELDS.map((name) => midTier(name).node.counters.requests);
      for (let i = 0; i < 16; i++) {
        origin.answers(`/${round}/${i}`, { body: 'a' });
        await edge().get(`/${round}/${i}`).sees({ status: 200 });
      }
      return SHIELDS.map((name, i) => midTier(name).node.counters.requests - (before[i] ?? 0));
    };
    const london: Node = {
      name: 'london',
      tier: 'mid-tier',
      url: midTier('london').url,
      location: { name: 'london', latitude: 0, longitude: 0 },
      capacity: 1,
      draining: false,
    };
    publish({ type: 'node.put', node: { ...london, draining: true } });
    expect(await asked('draining')).toEqual([16, 0]);
    publish({ type: 'node.put', node: london });
    expect((await asked('resumed'))[1]).toBeGreaterThan(0);
  },
);
