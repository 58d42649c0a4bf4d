import type { Config } from '#core/contract/event.ts';
import type { Heartbeat } from '#core/contract/report.ts';
import { candidatesOf } from './candidates.ts';
import type { Candidate, Condition } from './engine/candidate.ts';

/** What the control plane knows of the nodes. */
export interface Surveyed {
  /** Nodes whose lease has not ended. */
  readonly inService: ReadonlySet<string>;
  /** The last heartbeat of each. */
  readonly heartbeats: ReadonlyMap<string, Pick<Heartbeat, 'parents'>>;
}

/**
 * The edges as the control plane sees them: an edge is down if a router in service reports it so.
 * What edges shed for load is each router's own reckoning, and not known here.
 */
export function surveyedCandidates(
  { nodes }: Pick<Config, 'nodes'>,
  { inService, heartbeats }: Surveyed,
): readonly Candidate[] {
  const routers = nodes.filter(({ name, tier }) => tier === 'router' && inService.has(name));
  const reported = routers.flatMap(({ name }) => heartbeats.get(name)?.parents ?? []);
  const down = new Set(reported.map(({ name }) => name));
  return candidatesOf(nodes, ({ name, draining }) => {
    const isIn = inService.has(name);
    const condition: Condition = down.has(name)
      ? 'down'
      : isIn
        ? draining
          ? 'draining'
          : 'well'
        : 'unreported';
    return { condition, shed: 0 };
  });
}
