import type { ApiClient } from '../api-client.ts';
import type { NodeStatus } from '../api-types.ts';
import type { TrafficAnswer } from './traffic-answer.ts';

/** What is added up for what is shown as "now". */
const WINDOW_SECONDS = 30;
const STEP_SECONDS = 10;

/** Per second over the last half minute; `null`: nothing was reported. */
export interface Rates {
  readonly requestsPerSecond: number | null;
  /** From 0 to 1. */
  readonly hitRatio: number | null;
  readonly bytesPerSecond: number | null;
  readonly errorsPerSecond: number | null;
  readonly originRequestsPerSecond: number | null;
  readonly p99Ms: number | null;
}

export interface TopNode extends Rates {
  readonly name: string;
  readonly tier: string;
  readonly location: string;
  readonly state: 'unseen' | 'lease-ended' | 'draining' | 'in-service';
  /** Journal events that it has yet to heed. */
  readonly lag: number;
}

/** The network at one moment. */
export interface Snapshot {
  readonly at: number;
  readonly sequence: number;
  /** What clients see: the edges. */
  readonly edges: Rates;
  /** Of all tiers, for what origins have to bear. */
  readonly originRequestsPerSecond: number | null;
  /** How much of what clients ask for the origins are spared, from 0 to 1. */
  readonly offload: number | null;
  readonly purges: readonly { readonly id: string; readonly status: string }[];
  /** The worst first. */
  readonly nodes: readonly TopNode[];
}

export async function takeSnapshot(api: ApiClient, now: number): Promise<Snapshot> {
  const window = { stepSeconds: STEP_SECONDS, points: WINDOW_SECONDS / STEP_SECONDS };
  const [sequence, nodes, byNode, byTier, purges] = await Promise.all([
    api.sequence(),
    api.nodes(),
    api.traffic({ ...window, by: 'node' }),
    api.traffic({ ...window, by: 'tier' }),
    api.purges(20),
  ]);
  return snapshotOf(now, sequence, nodes, byNode, byTier, purges);
}

export function snapshotOf(
  at: number,
  sequence: number,
  nodes: readonly NodeStatus[],
  byNode: TrafficAnswer,
  byTier: TrafficAnswer,
  purges: Snapshot['purges'],
): Snapshot {
  const ofNode = new Map(byNode.groups.map((group) => [group.name, group.total]));
  const edges = ratesOf(byTier.groups.find(({ name }) => name === 'edge')?.total);
  const origin = byTier.groups.flatMap(({ total }) => total.originRequests ?? []);
  const originRequestsPerSecond =
    origin.length === 0 ? null : origin.reduce((sum, count) => sum + count, 0) / WINDOW_SECONDS;
  const { requestsPerSecond: asked } = edges;
  return {
    at,
    sequence,
    edges,
    originRequestsPerSecond,
    offload:
      originRequestsPerSecond === null || asked === null || asked === 0
        ? null
        : Math.max(0, 1 - originRequestsPerSecond / asked),
    purges: purges.filter(({ status }) => status !== 'complete'),
    nodes: nodes
      .map((node) => ({
        name: node.name,
        tier: node.tier,
        location: node.location.name,
        state: stateOf(node),
        lag: Math.max(0, sequence - node.fence),
        ...ratesOf(ofNode.get(node.name)),
      }))
      .toSorted(worstFirst),
  };
}

function ratesOf(total: TrafficAnswer['groups'][number]['total'] | undefined): Rates {
  const { requests = null, hits = null } = total ?? {};
  return {
    requestsPerSecond: perSecond(requests),
    hitRatio: requests === null || requests === 0 ? null : (hits ?? 0) / requests,
    bytesPerSecond: perSecond(total?.bytesSent),
    errorsPerSecond: perSecond(total?.errors),
    originRequestsPerSecond: perSecond(total?.originRequests),
    p99Ms: total?.p99Ms ?? null,
  };
}

const perSecond = (count: number | null | undefined): number | null =>
  count === null || count === undefined ? null : count / WINDOW_SECONDS;

function stateOf({ draining, inService, lastHeartbeat }: NodeStatus): TopNode['state'] {
  if (lastHeartbeat === null) return 'unseen';
  if (!inService) return 'lease-ended';
  return draining ? 'draining' : 'in-service';
}

const SEVERITY: readonly TopNode['state'][] = ['lease-ended', 'unseen', 'draining', 'in-service'];

/** Out of service, then in error, then the busiest. */
const worstFirst = (a: TopNode, b: TopNode): number =>
  SEVERITY.indexOf(a.state) - SEVERITY.indexOf(b.state) ||
  (b.errorsPerSecond ?? 0) - (a.errorsPerSecond ?? 0) ||
  (b.requestsPerSecond ?? 0) - (a.requestsPerSecond ?? 0) ||
  a.name.localeCompare(b.name);
