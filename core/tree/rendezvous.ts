import { hash32 } from '#core/hash.ts';

/** A candidate for the place of an object. */
export interface Weighted {
  readonly name: string;
  /** Relative share of the keys. */
  readonly weight: number;
}

/**
 * `candidates` in the order in which `key` prefers them. Highest random weight (Thaler and
 * Ravishankar 1998), weighted as by Schindelhauer and Schomaker 2005: one that comes or goes moves
 * only its own share of the keys.
 */
export function rendezvous<T extends Weighted>(
  candidates: readonly T[],
  key: string,
): readonly T[] {
  return candidates
    .map((candidate) => ({ candidate, score: scoreOf(candidate, key) }))
    .toSorted((a, b) => b.score - a.score || (a.candidate.name < b.candidate.name ? -1 : 1))
    .map(({ candidate }) => candidate);
}

function scoreOf({ name, weight }: Weighted, key: string): number {
  const uniform = (hash32(name, key) + 0.5) / 2 ** 32;
  return -weight / Math.log(uniform);
}
