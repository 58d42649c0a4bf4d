import type { ExplainedTier, ExplainVerdict, NamedPurge } from '#core/contract/explain.ts';

const WORDS: Readonly<Record<ExplainVerdict, string>> = {
  hit: 'HIT',
  stale: 'STALE HIT',
  revalidate: 'REVALIDATED',
  miss: 'MISS',
  pass: 'PASS',
  'own-answer': 'ANSWERED',
  refused: 'REFUSED',
};

const UNTOLD = {
  silent: 'did not answer in time',
  'not-in-service': 'is not in service',
  'older-version': 'is of an older version, which cannot explain',
} as const;

/** In a sentence what becomes of the request, and why. @param now ms since the Unix epoch */
export function headlineOf(
  tiers: readonly ExplainedTier[],
  purges: readonly NamedPurge[],
  now: number,
): string {
  const [edge, above] = tiers;
  if (edge === undefined || edge.status === 'origin') return 'No edge is there to be asked';
  if (edge.status !== 'explained') return `Unknown: ${edge.node} ${UNTOLD[edge.status]}`;
  const { verdict, because, stored, near, leaseEnded } = edge.explanation;
  const [purge] = purges;
  const isGone = verdict === 'miss' && stored.length === 0 && near?.keys.length === 0;
  const parts = [
    `${WORDS[verdict]} at ${edge.node}: ${because}`,
    ...(isGone && typeof purge?.at === 'number'
      ? [`purged ${ago(now - purge.at)} (${purge.mode}, ${purge.id})`]
      : []),
    ...heldAbove(verdict, above),
    ...(leaseEnded ? ['the node has lost its link to the control plane'] : []),
  ];
  return parts.join('; ');
}

/** Where the edge has to ask, it counts whether its parent has to. */
function heldAbove(verdict: ExplainVerdict, above: ExplainedTier | undefined): string[] {
  if (above?.status !== 'explained' || (verdict !== 'miss' && verdict !== 'revalidate')) return [];
  const held = above.explanation.verdict;
  return held === 'hit' || held === 'stale' ? [`${WORDS[held]} at ${above.node} above it`] : [];
}

function ago(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 120) return `${seconds} s ago`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min ago`;
  return `${Math.round(seconds / 3600)} h ago`;
}
