import type { SiteRouting } from '#core/contract/routing.ts';
import { type Candidate, CONDITIONS } from './candidate.ts';
import type { DropReason } from './decide.ts';

export const healthy = ({ condition }: Candidate): DropReason | undefined =>
  condition === 'well' ? undefined : condition;

/**
 * Of edges of which none is well, the least bad: what the operator forbids stays forbidden.
 * @param forbids of the overrides
 */
export function lastResort(
  candidates: readonly Candidate[],
  forbids: (candidate: Candidate) => DropReason | undefined,
  { lastResort: wish }: Pick<SiteRouting, 'lastResort'>,
): (candidate: Candidate) => DropReason | undefined {
  const ranks = candidates.filter((one) => forbids(one) === undefined).map(rank);
  const least = wish === 'none' ? -1 : Math.min(...ranks);
  return (candidate) =>
    forbids(candidate) ?? (rank(candidate) <= least ? undefined : healthy(candidate));
}

const rank = ({ condition }: Candidate): number => CONDITIONS.indexOf(condition);
