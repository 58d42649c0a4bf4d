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
  const uniform = (mix(hashOf(key, hashOf(name, FNV_OFFSET))) + 0.5) / 2 ** 32;
  return -weight / Math.log(uniform);
}

const FNV_OFFSET = 0x811c9dc5;

/** FNV-1a over UTF-16 code units. */
function hashOf(text: string, seed: number): number {
  let hash = seed;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

/** The finaliser of MurmurHash3: FNV alone leaves the high bits of similar names alike. */
function mix(hash: number): number {
  let h = hash;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
