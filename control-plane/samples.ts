import { OTHER } from '#core/telemetry/rows.ts';
import type { Samples } from '#core/telemetry/samples.ts';
import type { Services } from './api/services.ts';

/** Nodes with metrics of their own; the worst of all others stands for them. */
const MAX_NODES = 1_000;

/** How a node stands: `unseen` has never been heard of since the control plane started. */
type NodeState = 'in-service' | 'lease-ended' | 'unseen';

/** Adds how the network stands. */
export async function sampleControlPlane(services: Services, samples: Samples): Promise<void> {
  const { journal, leases, purges, pushes, streams } = services;
  const { nodes, sequence } = journal.config;
  samples.add('canopy_journal_sequence', sequence);
  samples.add('canopy_journal_streams', streams.size);
  samples.add('canopy_purges_pending', purges.pending);
  samples.add('canopy_purges_completed_total', purges.completed);
  samples.add('canopy_pushes_running', pushes.running);
  samples.add('canopy_api_unknown_secrets_total', services.access.guesses.failures);
  const states: Record<NodeState, number> = { 'in-service': 0, 'lease-ended': 0, unseen: 0 };
  const survey = await leases.survey();
  const heartbeats = await leases.heartbeats();
  const standings = new Map(survey.nodes.map((standing) => [standing.node, standing]));
  let othersLag = 0;
  for (const [i, { name }] of nodes.entries()) {
    const standing = standings.get(name);
    const inService = standing !== undefined && standing.remainingMs > 0;
    const wasSeen = heartbeats.has(name);
    states[inService ? 'in-service' : wasSeen ? 'lease-ended' : 'unseen']++;
    const lag = sequence - (standing?.fence ?? 0);
    if (i < MAX_NODES) samples.add('canopy_node_journal_lag_events', lag, name);
    else othersLag = Math.max(othersLag, lag);
  }
  if (nodes.length > MAX_NODES) samples.add('canopy_node_journal_lag_events', othersLag, OTHER);
  await sampleCertificates(services, samples);
  for (const [state, count] of Object.entries(states)) samples.add('canopy_nodes', count, state);
}

/** Certificates with metrics of their own: those that expire first. */
const MAX_CERTIFICATES = 1_000;

async function sampleCertificates(
  { acme, clock, journal }: Services,
  samples: Samples,
): Promise<void> {
  const now = clock.now();
  const soonest = journal.config.certificates.toSorted((a, b) => a.notAfter - b.notAfter);
  for (const { name, notAfter } of soonest.slice(0, MAX_CERTIFICATES)) {
    samples.add('canopy_certificate_remaining_seconds', (notAfter - now) / 1000, name);
  }
  const failing = (await acme.list()).filter(({ failures }) => failures > 0);
  for (const { name, failures } of failing.slice(0, MAX_CERTIFICATES)) {
    samples.add('canopy_certificate_order_failures', failures, name);
  }
}
