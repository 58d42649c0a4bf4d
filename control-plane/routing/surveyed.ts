import type { Config } from '#core/contract/event.ts';
import type { Heartbeat } from '#core/contract/report.ts';
import { withRoutedHosts, zonesOf } from '#core/contract/routed-hosts.ts';
import { candidatesOf } from './candidates.ts';
import { type Candidate, type Condition, CONDITIONS } from './engine/candidate.ts';
import { CertifiedSites } from './view/certified-sites.ts';

/** What the control plane knows of the nodes. */
export interface Surveyed {
  /** Nodes whose lease has not ended. */
  readonly inService: ReadonlySet<string>;
  /** The last heartbeat of each. */
  readonly heartbeats: ReadonlyMap<
    string,
    Pick<Heartbeat, 'parents'> & Partial<Pick<Heartbeat, 'ailments' | 'missingCertificates'>>
  >;
}

/**
 * The edges as the control plane sees them: an edge is down if a router in service reports it so.
 * What edges shed for load is each router's own reckoning, and not known here.
 */
export function surveyedCandidates(
  config: Pick<Config, 'nodes' | 'sites' | 'certificates' | 'network'>,
  { inService, heartbeats }: Surveyed,
): readonly Candidate[] {
  const { nodes } = config;
  const zones = zonesOf(config);
  const certified = new CertifiedSites(
    config.sites.map((site) => withRoutedHosts(site, zones)),
    config.certificates,
  );
  const routers = nodes.filter(({ name, tier }) => tier === 'router' && inService.has(name));
  const reported = routers.flatMap(({ name }) => heartbeats.get(name)?.parents ?? []);
  const down = new Set(reported.map(({ name }) => name));
  return candidatesOf(nodes, ({ name, draining }) => {
    const { ailments = [], missingCertificates: missing = [] } = heartbeats.get(name) ?? {};
    const conditions: Readonly<Partial<Record<Condition, boolean>>> = {
      down: down.has(name),
      unreported: !inService.has(name),
      draining,
      ailing: ailments.length > 0,
    };
    return {
      condition: CONDITIONS.findLast((condition) => conditions[condition]) ?? 'well',
      shed: 0,
      ...(missing.length > 0 && { uncertified: certified.needing(missing) }),
    };
  });
}
