import type { PurgeTarget } from '#core/contract/purge.ts';
import type { Services } from '../api/services.ts';
import { planPurge, type PurgeRequest } from './plan.ts';
import { type PurgePreview, previewOf } from './preview.ts';
import { CONCERNED } from './progress.ts';

/**
 * Asks the nodes in service what a purge would hit, and orders nothing.
 * @param check called with the targets before any node is asked; may throw
 * @throws InvalidInput, CanopyError `not-found`
 */
export async function dryRun(
  { journal, leases, questions }: Pick<Services, 'journal' | 'leases' | 'questions'>,
  request: PurgeRequest,
  reach: readonly string[] | null,
  check: (targets: readonly PurgeTarget[]) => void,
): Promise<PurgePreview> {
  const { config } = journal;
  const targets = planPurge(request, config, reach);
  check(targets);
  const survey = await leases.survey();
  const inService = new Set(
    survey.nodes.filter(({ remainingMs }) => remainingMs > 0).map(({ node }) => node),
  );
  const nodes = config.nodes.filter(({ name, tier }) => CONCERNED.has(tier) && inService.has(name));
  const answers = await questions.ask(
    nodes.map(({ name }) => name),
    { targets },
  );
  const estimates = [...answers].flatMap(([node, said]) =>
    'estimate' in said ? [[node, said.estimate] as const] : [],
  );
  return previewOf({ mode: request.mode, targets }, config, nodes, new Map(estimates));
}
