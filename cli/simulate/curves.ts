import type { PolicyName } from '#core/cache/eviction/policies.ts';
import { type HitRatios, type OnProgress, replay } from './replay.ts';
import type { Requests } from './requests.ts';

export interface Point extends HitRatios {
  /** Budget of the tier that the curve is about. */
  readonly budgetBytes: number;
}

/** Hit ratios over the size of one tier, the smallest first. */
export interface Curve {
  /** The tier whose size changes; with `disk` the memory before it has its full size. */
  readonly tier: 'memory' | 'disk';
  /** Of the memory tier. */
  readonly policy: PolicyName;
  readonly points: readonly Point[];
}

export interface Plan {
  readonly memoryBytes: number;
  readonly diskBytes: number | undefined;
  readonly policies: readonly PolicyName[];
  readonly diskPolicy: PolicyName;
}

const POINTS = 8;

/** Half of half of ... all of it. */
const sizesUpTo = (bytes: number): readonly number[] =>
  Array.from({ length: POINTS }, (_, i) => Math.floor(bytes / 2 ** (POINTS - 1 - i)));

/** Replays the requests at every size and with every policy of the plan. */
export function hitRatioCurves(
  requests: Requests,
  { memoryBytes, diskBytes, policies, diskPolicy }: Plan,
  onProgress?: OnProgress,
): readonly Curve[] {
  const memory = policies.map((policy) => ({
    tier: 'memory' as const,
    policy,
    points: sizesUpTo(memoryBytes).map((budgetBytes) => ({
      budgetBytes,
      ...replay(requests, [{ budgetBytes, policy }], onProgress),
    })),
  }));
  if (diskBytes === undefined) return memory;
  const disk = policies.map((policy) => ({
    tier: 'disk' as const,
    policy,
    points: sizesUpTo(diskBytes).map((budgetBytes) => {
      const before = { budgetBytes: memoryBytes, policy };
      const tiers = [before, { budgetBytes, policy: diskPolicy }];
      return { budgetBytes, ...replay(requests, tiers, onProgress) };
    }),
  }));
  return [...memory, ...disk];
}

/** Requests that `hitRatioCurves` replays in all. */
export const replayedRequests = (requests: Requests, { policies, diskBytes }: Plan): number =>
  requests.ids.length * policies.length * POINTS * (diskBytes === undefined ? 1 : 2);
