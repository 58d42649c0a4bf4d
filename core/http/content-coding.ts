/** Content codings that Canopy reads and writes, by their registered names (RFC 9110 §8.4.1, RFC 7932, RFC 8878). */
export const CODINGS = ['br', 'zstd', 'gzip'] as const;

export type Coding = (typeof CODINGS)[number];

/** What a client takes, RFC 9110 §12.5.3. */
export interface Acceptance {
  /** The best for it of those that could be sent. */
  readonly best: Coding | 'identity';
  /** Every coding that it takes. */
  readonly accepted: ReadonlySet<Coding | 'identity'>;
  /** What it does not take is not to be unpacked for it. */
  readonly isForOrigin?: boolean;
}

/** What is sent to whoever says nothing: any coding would be allowed, but few such clients know one. */
const IDENTITY_ONLY: Acceptance = { best: 'identity', accepted: new Set(['identity']) };

/**
 * Reads `Accept-Encoding`: the coding of the highest quality, among equals the first in `preference`,
 * and any before identity. Where nothing is acceptable, it is identity all the same, as §12.5.3 allows.
 * @param preference codings that could be sent
 */
export function acceptanceOf(value: string | undefined, preference: readonly Coding[]): Acceptance {
  if (value === undefined) return IDENTITY_ONLY;
  const qualities = qualitiesIn(value);
  const any = qualities.get('*');
  const qualityOf = (coding: Coding): number => qualities.get(coding) ?? any ?? 0;
  // Acceptable unless it is excluded, though never before what is asked for.
  const identity = qualities.get('identity') ?? (any === 0 ? 0 : undefined);
  const accepted = new Set<Coding | 'identity'>(CODINGS.filter((coding) => qualityOf(coding) > 0));
  if (identity !== 0) accepted.add('identity');
  let best: Coding | 'identity' = 'identity';
  let bestQuality = identity ?? 0;
  for (const coding of preference.toReversed()) {
    const quality = qualityOf(coding);
    if (quality === 0 || quality < bestQuality) continue;
    best = coding;
    bestQuality = quality;
  }
  return { best, accepted };
}

/** Quality by coding in lower case; what cannot be read counts as 1, as for a coding without one. */
function qualitiesIn(value: string): ReadonlyMap<string, number> {
  const qualities = new Map<string, number>();
  for (const member of value.toLowerCase().split(',')) {
    const [name = '', ...parameters] = member.split(';').map((part) => part.trim());
    if (name === '') continue;
    const stated = parameters.find((parameter) => parameter.startsWith('q='))?.slice('q='.length);
    const quality = stated === undefined ? 1 : Number(stated);
    qualities.set(codingNamed(name) ?? name, Number.isNaN(quality) ? 1 : Math.min(quality, 1));
  }
  return qualities;
}

const isCoding = (name: string): name is Coding => (CODINGS as readonly string[]).includes(name);

/** @param name in lower case. RFC 9110 §8.4.1.3: `x-gzip` is gzip */
export function codingNamed(name: string): Coding | undefined {
  if (name === 'x-gzip') return 'gzip';
  return isCoding(name) ? name : undefined;
}
