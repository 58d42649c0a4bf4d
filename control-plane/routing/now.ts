import type { Config } from '#core/contract/event.ts';
import { DEFAULT_NETWORK_ROUTING } from '#core/contract/routing.ts';
import type { Services } from '../api/services.ts';
import { Latencies } from './engine/latencies.ts';
import { Overrides } from './engine/overrides.ts';
import { Routes } from './routes.ts';
import { surveyedCandidates } from './surveyed.ts';

/** Routes as they are decided now, as far as the control plane knows. @param without edges that are taken to be gone */
export async function routesNow(
  { geography, latencies, leases }: Pick<Services, 'geography' | 'latencies' | 'leases'>,
  config: Config,
  without: readonly string[] = [],
): Promise<Routes> {
  const [survey, heartbeats, { entries }] = await Promise.all([
    leases.survey(),
    leases.heartbeats(),
    latencies.map(),
  ]);
  const standing = survey.nodes.filter(({ remainingMs }) => remainingMs > 0);
  const inService = new Set(standing.map(({ node }) => node));
  const candidates = surveyedCandidates(config, { inService, heartbeats });
  return new Routes(geography, {
    candidates: candidates.filter(({ name }) => !without.includes(name)),
    overrides: new Overrides((config.network.routing ?? DEFAULT_NETWORK_ROUTING).overrides),
    latencies: new Latencies(entries),
  });
}
