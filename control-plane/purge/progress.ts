import type { Tier } from '#core/contract/node.ts';
import type { Counts } from '../state/standings.ts';
import type { NodeProgress, PurgeRecord } from '../state/store.ts';

/** Of a node, as far as a purge wants to know it. */
export interface NodeState {
  readonly node: string;
  readonly tier: Tier;
  readonly fence: number;
  readonly inService: boolean;
}

/** Tiers that hold copies; what the origin holds is not a copy. */
export const CONCERNED: ReadonlySet<Tier> = new Set(['edge', 'mid-tier']);

/** Origins are where a site switches to a release. */
const SWITCHED: ReadonlySet<Tier> = new Set([...CONCERNED, 'origin']);

/** The sequence that a node must have applied to have heeded the whole purge. */
export const fenceOf = (purge: PurgeRecord): number => Math.max(...purge.sequences);

/**
 * How the purge stands with nodes standing like this. It is complete when every node in service has
 * applied it: nodes that came into service after it was ordered as well, and a node that was
 * acknowledged but came back from further behind is pending again.
 * @param now ms since the Unix epoch
 */
export function settle(purge: PurgeRecord, states: readonly NodeState[], now: number): PurgeRecord {
  const tiers = purge.release === undefined ? CONCERNED : SWITCHED;
  const before = new Map(purge.nodes.map((progress) => [progress.node, progress]));
  const concerned = new Map(
    states.filter(({ tier }) => tiers.has(tier)).map((state) => [state.node, state]),
  );
  const nodes: NodeProgress[] = [];
  for (const node of new Set([...before.keys(), ...concerned.keys()])) {
    const known = before.get(node);
    const state = concerned.get(node);
    if (known === undefined && state?.inService !== true) continue;
    const status = statusOf(state, fenceOf(purge));
    const settledMs = known?.status === status ? known.tookMs : Math.max(0, now - purge.createdAt);
    nodes.push({
      node,
      tier: state?.tier ?? known?.tier ?? 'edge',
      status,
      objects: known === undefined ? 0 : known.objects,
      bytes: known === undefined ? 0 : known.bytes,
      fills: known?.fills ?? 0,
      tookMs: status === 'pending' ? null : settledMs,
    });
  }
  const complete = nodes.every(({ status }) => status !== 'pending');
  return complete
    ? { ...purge, nodes, status: 'complete', completedAt: now }
    : { ...purge, nodes, status: 'pending' };
}

function statusOf(state: NodeState | undefined, fence: number): NodeProgress['status'] {
  if (state !== undefined && state.fence >= fence) return 'acknowledged';
  return state?.inService === true ? 'pending' : 'lease-ended';
}

/** The purge with what its nodes have reported of it, by node. */
export const withCounts = (
  purge: PurgeRecord,
  counts: ReadonlyMap<string, Counts>,
): PurgeRecord => ({
  ...purge,
  nodes: purge.nodes.map((progress) => ({ ...progress, ...counts.get(progress.node) })),
});
