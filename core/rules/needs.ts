import type { Site } from '#core/contract/site.ts';

/** What rules may need of an edge that not every edge has. */
export type Need = 'asn' | 'network-limits';

/** The names of the sites whose rules need each. */
export function needsOf(sites: readonly Site[]): Readonly<Record<Need, readonly string[]>> {
  const needing = (needs: (rule: Site['rules'][number]) => boolean): string[] =>
    sites.filter(({ rules }) => rules.some(needs)).map(({ name }) => name);
  return {
    asn: needing(({ match }) => match?.asn !== undefined || match?.not?.asn !== undefined),
    'network-limits': needing(({ rateLimit }) => rateLimit?.scope === 'network'),
  };
}
