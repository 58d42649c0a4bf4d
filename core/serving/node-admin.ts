import type { Clock } from '#core/clock.ts';
import type { Tier } from '#core/contract/node.ts';
import type { NodeLink } from '#core/node/link.ts';
import type { HealthReason } from '#core/telemetry/health.ts';
import type { MetricGroup } from '#core/telemetry/metrics.ts';
import type { Samples } from '#core/telemetry/samples.ts';
import { type Address, type Admin, openAdmin } from './admin.ts';

export interface NodeAdminOptions {
  readonly address: Address;
  readonly name: string;
  readonly tier: Tier;
  readonly clock: Clock;
  readonly link: NodeLink;
  /** Beside `process` and `node`. */
  readonly group: MetricGroup;
  readonly sample: (samples: Samples) => Promise<void> | void;
  /** What `/healthz` tells besides. */
  readonly facts?: () => Readonly<Record<string, unknown>>;
  /** What may be wrong beside the link. */
  readonly findings?: () => Partial<Record<HealthReason, boolean>>;
}

/** The admin listener of a node, and what it is to know of the node's life. */
export interface NodeAdmin extends Admin {
  phase: 'starting' | 'serving' | 'stopping';
}

/**
 * Opens it before the node serves, so that one that waits can be asked what for.
 * @throws CanopyError `conflict` where the port is taken
 */
export async function openNodeAdmin(options: NodeAdminOptions): Promise<NodeAdmin> {
  const { name, tier, link, clock } = options;
  const leaseMs = (): number => Math.max(0, link.lease.endsAtMonotonicMs - clock.monotonicMs());
  const admin = await openAdmin({
    ...options.address,
    name,
    tier,
    groups: ['node', options.group],
    sample: (samples) => {
      samples.add('canopy_fence_sequence', link.fence);
      samples.add('canopy_journal_lag_events', Math.max(0, link.heardOf - link.fence));
      samples.add('canopy_journal_connected', link.isFollowing ? 1 : 0);
      samples.add('canopy_lease_remaining_seconds', leaseMs() / 1000);
      return options.sample(samples);
    },
    findings: () => ({
      starting: opened.phase === 'starting',
      stopping: opened.phase === 'stopping',
      'control-plane-lost': !link.isFollowing,
      'lease-ended': leaseMs() === 0,
      'config-refused': link.refusals.length > 0,
      ...options.findings?.(),
    }),
    facts: () => ({
      fence: link.fence,
      lease: { held: leaseMs() > 0, remainingMs: Math.round(leaseMs()) },
      ...options.facts?.(),
    }),
  });
  const opened: NodeAdmin = { ...admin, phase: 'starting' };
  return opened;
}
