import type { SiteRouting } from '#core/contract/routing.ts';
import type { Candidate } from './candidate.ts';
import type { DropReason } from './decide.ts';

/**
 * Edges that have the site and its certificate, and an address that the client can use. Where no edge
 * of the site has the certificate, all will do: plain HTTP is served, and perhaps it is just being issued.
 */
export function serving(
  candidates: readonly Candidate[],
  { name: site, routing }: { readonly name: string; readonly routing: Pick<SiteRouting, 'edges'> },
  family: 4 | 6 | undefined,
): (candidate: Candidate) => DropReason | undefined {
  const { edges } = routing;
  const isOfSite = ({ name }: Candidate): boolean => edges.length === 0 || edges.includes(name);
  const lacks = ({ uncertified }: Candidate): boolean => uncertified?.has(site) === true;
  const isHeld = candidates.some((candidate) => isOfSite(candidate) && !lacks(candidate));
  return (candidate) => {
    if (!isOfSite(candidate)) return 'not-of-site';
    if (isHeld && lacks(candidate)) return 'no-certificate';
    return family !== undefined && !candidate.families.has(family) ? 'no-address' : undefined;
  };
}
