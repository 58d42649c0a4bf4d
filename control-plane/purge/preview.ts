import { z } from 'zod';
import type { Config } from '#core/contract/event.ts';
import { nameSchema } from '#core/contract/names.ts';
import { groupOf, type Node, tierSchema } from '#core/contract/node.ts';
import {
  type PurgeMode,
  purgeModeSchema,
  type PurgeTarget,
  purgeTargetSchema,
  siteOfTarget,
} from '#core/contract/purge.ts';
import { addEstimates, demandPerSecond, type Estimate } from '#core/contract/question.ts';

const tollShape = {
  objects: z.int(),
  bytes: z.int(),
  /** At first, and at most; see docs/purging.md. */
  originRequestsPerSecond: z.number(),
  /** Objects and bytes are reckoned from some of what is stored. */
  sampled: z.boolean(),
};

const nodeShape = { node: nameSchema, tier: tierSchema };

/** What a purge would do, without doing it: sums over the nodes that have answered. */
export const purgePreviewSchema = z.strictObject({
  mode: purgeModeSchema,
  targets: z.array(purgeTargetSchema),
  ...tollShape,
  nodes: z.array(
    z.discriminatedUnion('status', [
      z.strictObject({ ...nodeShape, status: z.literal('answered'), ...tollShape }),
      /** In service, and gave no answer in time. */
      z.strictObject({ ...nodeShape, status: z.literal('silent') }),
    ]),
  ),
});

export type PurgePreview = z.output<typeof purgePreviewSchema>;
type Toll = Pick<PurgePreview, keyof typeof tollShape>;

/**
 * What the nodes' estimates amount to. After a purge the next request for each object goes upward: as
 * many a second as there are different objects asked for now. Edges that share mid-tiers cause one
 * fetch between them, those without one each.
 * @param nodes those that were asked
 * @param answers by node
 */
export function previewOf(
  { mode, targets }: { readonly mode: PurgeMode; readonly targets: readonly PurgeTarget[] },
  { sites }: Pick<Config, 'sites'>,
  nodes: readonly Node[],
  answers: ReadonlyMap<string, Estimate>,
): PurgePreview {
  const refillsPerSecond = refillsOf(targets, sites);
  /** Bounded by the refill budget, unless nothing may be served stale instead. */
  const rateOf = (estimate: Estimate): number => {
    const demand = demandPerSecond(estimate);
    if (mode === 'hard' || mode === 'ban') return demand;
    // A refresh fetches what is stored, asked for or not.
    return Math.min(refillsPerSecond, mode === 'refresh' ? estimate.objects : demand);
  };
  const answered = nodes.flatMap((node) => {
    const estimate = answers.get(node.name);
    return estimate === undefined ? [] : [{ node, estimate, rate: rateOf(estimate) }];
  });
  const hasMidTiers = nodes.some(({ tier }) => tier === 'mid-tier');
  const sharing = Map.groupBy(answered, ({ node }) => (hasMidTiers ? groupOf(node) : node.name));
  const rates = [...sharing.values()].map((group) => {
    const sum = sumOf(group.map(({ rate }) => rate));
    if (mode === 'refresh') return sum;
    return Math.min(sum, demandPerSecond(addEstimates(group.map(({ estimate }) => estimate))));
  });
  return {
    mode,
    targets: [...targets],
    ...toll(addEstimates(answered.map(({ estimate }) => estimate)), sumOf(rates)),
    nodes: nodes.map(({ name, tier }) => {
      const found = answered.find(({ node }) => node.name === name);
      if (found === undefined) return { node: name, tier, status: 'silent' };
      return { node: name, tier, status: 'answered', ...toll(found.estimate, found.rate) };
    }),
  };
}

/** What each node may fetch of these after a purge that leaves them stale. */
function refillsOf(targets: readonly PurgeTarget[], sites: Config['sites']): number {
  const named = new Set(targets.map(siteOfTarget));
  const meant = sites.filter(({ name }) => named.has(undefined) || named.has(name));
  return sumOf(meant.map(({ cache }) => cache.refillsPerSecond));
}

const toll = ({ objects, bytes, sampled }: Estimate, rate: number): Toll => ({
  objects,
  bytes,
  originRequestsPerSecond: Math.round(rate * 10) / 10,
  sampled,
});

const sumOf = (numbers: readonly number[]): number => numbers.reduce((sum, n) => sum + n, 0);
