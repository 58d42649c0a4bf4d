import type { SiteRouting } from '#core/contract/routing.ts';
import type { Candidate } from './candidate.ts';
import type { DropReason } from './decide.ts';

/** Edges that have the site, and an address that the client can use. */
export const serving =
  ({ edges }: Pick<SiteRouting, 'edges'>, family: 4 | 6 | undefined) =>
  ({ name, families }: Candidate): DropReason | undefined => {
    if (edges.length > 0 && !edges.includes(name)) return 'not-of-site';
    return family !== undefined && !families.has(family) ? 'no-address' : undefined;
  };
