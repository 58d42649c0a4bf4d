import { table } from '../output.ts';
import { formatSize } from '../size.ts';
import type { Snapshot, TopNode } from './snapshot.ts';

/** What nodes can be sorted by, each with its key. */
export const ORDERS = {
  worst: undefined,
  requests: ({ requestsPerSecond }: TopNode) => requestsPerSecond,
  'hit ratio': ({ hitRatio }: TopNode) => (hitRatio === null ? null : -hitRatio),
  p99: ({ p99Ms }: TopNode) => p99Ms,
  errors: ({ errorsPerSecond }: TopNode) => errorsPerSecond,
} as const;

export type Order = keyof typeof ORDERS;

/**
 * The network in lines.
 * @param height lines there is room for; nodes beyond it are counted
 */
export function topText(
  { at, edges, offload, originRequestsPerSecond, purges, nodes, sequence }: Snapshot,
  { order = 'worst', height = Infinity }: { order?: Order; height?: number } = {},
): string {
  const head = [
    `canopy top  ${new Date(at).toISOString().slice(11, 19)}Z  journal at ${sequence}  ${summaryOf(nodes)}`,
    [
      `${rate(edges.requestsPerSecond)} requests/s`,
      `${share(edges.hitRatio)} hits`,
      `p99 ${millis(edges.p99Ms)}`,
      `${bytes(edges.bytesPerSecond)}/s`,
      `${rate(edges.errorsPerSecond)} errors/s`,
      `origin ${rate(originRequestsPerSecond)}/s`,
      `offload ${share(offload)}`,
      `${purges.length} purge${purges.length === 1 ? '' : 's'} under way`,
    ].join('  '),
    '',
  ];
  const by = ORDERS[order];
  const sorted =
    by === undefined
      ? nodes
      : nodes.toSorted((a, b) => (by(b) ?? -Infinity) - (by(a) ?? -Infinity));
  const room = Math.max(1, height - head.length - 1);
  const shown = sorted.length > room ? sorted.slice(0, room - 1) : sorted;
  const lines = table(
    ['node', 'tier', 'location', 'state', 'lag', 'req/s', 'hits', 'p99', 'sent/s', 'err/s'],
    shown.map((node) => [
      node.name,
      node.tier,
      node.location,
      node.state,
      node.lag,
      rate(node.requestsPerSecond),
      share(node.hitRatio),
      millis(node.p99Ms),
      bytes(node.bytesPerSecond),
      rate(node.errorsPerSecond),
    ]),
  );
  const hidden = sorted.length - shown.length;
  return [...head, lines, ...(hidden > 0 ? [`and ${hidden} more`] : [])].join('\n');
}

function summaryOf(nodes: readonly TopNode[]): string {
  const well = nodes.filter(({ state }) => state === 'in-service').length;
  return `${well} of ${nodes.length} nodes in service`;
}

const rate = (value: number | null): string =>
  value === null ? '-' : value >= 100 ? value.toFixed(0) : value.toFixed(1);
const share = (value: number | null): string =>
  value === null ? '-' : `${(value * 100).toFixed(1)}%`;
const millis = (value: number | null): string =>
  value === null ? '-' : value >= 10 ? `${value.toFixed(0)}ms` : `${value.toFixed(2)}ms`;
const bytes = (value: number | null): string =>
  value === null ? '-' : formatSize(Math.round(value));
