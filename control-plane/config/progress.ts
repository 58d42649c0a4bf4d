import { z } from 'zod';
import { type Node, tierSchema } from '#core/contract/node.ts';
import type { Standing } from '../journal/leases.ts';
import { type ConfigVersion, configVersionSchema } from './version.ts';

/**
 * How a node stands to a version.
 * - `applied`: it has the version, or has had it
 * - `refused`: it could not apply it, and kept what it had
 * - `pending`: it is in service, and has not heard of it
 * - `lease-ended`: it is not in service, and hears of it when it comes back
 */
export const nodeProgressSchema = z.strictObject({
  node: z.string(),
  tier: tierSchema,
  status: z.enum(['applied', 'refused', 'pending', 'lease-ended']),
  /** Why it refused. */
  reason: z.string().optional(),
});

export type NodeProgress = z.output<typeof nodeProgressSchema>;

/** How the nodes stand to a version; of one that was never given to all, those that it was for. */
export function progressOf(
  version: ConfigVersion,
  nodes: readonly Node[],
  standings: readonly Pick<Standing, 'node' | 'fence' | 'remainingMs'>[],
): NodeProgress[] {
  const { appliedSequence, canary, refusals, sequence } = version;
  const byNode = new Map(standings.map((standing) => [standing.node, standing]));
  const reasons = new Map(refusals.map(({ node, reason }) => [node, reason]));
  const statusOf = (name: string): NodeProgress['status'] => {
    const { fence = 0, remainingMs = 0 } = byNode.get(name) ?? {};
    if (reasons.has(name)) return 'refused';
    if (fence >= (appliedSequence ?? sequence)) return 'applied';
    return remainingMs > 0 ? 'pending' : 'lease-ended';
  };
  return nodes
    .filter(({ name }) => appliedSequence !== null || canary?.includes(name) === true)
    .map(({ name, tier }) => {
      const reason = reasons.get(name);
      return { node: name, tier, status: statusOf(name), ...(reason !== undefined && { reason }) };
    });
}

/** A version as lists show it. */
export const versionSummarySchema = configVersionSchema.omit({ deltas: true }).extend({
  /** Names of those that it changed. */
  sites: z.array(z.string()),
});

export const summaryOf = ({
  deltas,
  ...version
}: ConfigVersion): z.output<typeof versionSummarySchema> => ({
  ...version,
  sites: deltas.map(({ name }) => name),
});
