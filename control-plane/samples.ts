import { OTHER } from '#core/telemetry/rows.ts';
import type { Samples } from '#core/telemetry/samples.ts';
import type { Services } from './api/services.ts';

/** Nodes with metrics of their own; the worst of all others stands for them. */
const MAX_NODES = 1_000;

/** How a node stands: `unseen` has never been heard of since the control plane started. */
type NodeState = 'in-service' | 'lease-ended' | 'unseen';

/** Adds how the network stands. */
export function sampleControlPlane(services: Services, samples: Samples): void {
  const { journal, leases, purges, streams } = services;
  const { nodes, sequence } = journal.config;
  samples.add('canopy_journal_sequence', sequence);
  samples.add('canopy_journal_streams', streams.size);
  samples.add('canopy_purges_pending', purges.pending);
  samples.add('canopy_purges_completed_total', purges.completed);
  const states: Record<NodeState, number> = { 'in-service': 0, 'lease-ended': 0, unseen: 0 };
  let othersLag = 0;
  for (const [i, { name }] of nodes.entries()) {
    const standing = leases.of(name);
    const inService = standing !== undefined && leases.remainingMs(standing) > 0;
    const wasSeen = standing !== undefined && standing.lastHeartbeat !== null;
    states[inService ? 'in-service' : wasSeen ? 'lease-ended' : 'unseen']++;
    const lag = sequence - (standing?.fence ?? 0);
    if (i < MAX_NODES) samples.add('canopy_node_journal_lag_events', lag, name);
    else othersLag = Math.max(othersLag, lag);
  }
  if (nodes.length > MAX_NODES) samples.add('canopy_node_journal_lag_events', othersLag, OTHER);
  for (const [state, count] of Object.entries(states)) samples.add('canopy_nodes', count, state);
}
