import { z } from 'zod';
import { MAX_SITES, type SiteChange } from '#core/contract/event.ts';
import { nameSchema } from '#core/contract/names.ts';
import { type Refusal, refusalSchema } from '#core/contract/report.ts';
import { type Site, siteSchema } from '#core/contract/site.ts';
import { validate } from '#core/contract/validate.ts';
import { messageOf } from '#core/errors.ts';

/** A site as the control plane tells it: one of a later version may have settings that are unknown here. */
export const toldSiteSchema = z.looseObject({ name: nameSchema });

export const toldChangeSchema = z.strictObject({
  put: z.array(toldSiteSchema).max(MAX_SITES),
  delete: z.array(nameSchema).max(MAX_SITES),
});

/** What became of a site in the journal but not on this node. */
export const withheldSchema = z.strictObject({
  name: nameSchema,
  /** As it came; left out where it is to be deleted. */
  site: toldSiteSchema.exactOptional(),
  refusal: refusalSchema,
});

export type ToldSite = z.output<typeof toldSiteSchema>;
export type ToldChange = z.output<typeof toldChangeSchema>;
export type Withheld = z.output<typeof withheldSchema>;

/** @throws whatever makes the node unable to serve by a site that fits the schema */
export type CheckSite = (site: Site) => void;

/** What a node does of what it is told. */
export interface Taken {
  readonly change: SiteChange;
  readonly withheld: readonly Withheld[];
}

/**
 * Takes a change as a whole or not at all. With it goes what was withheld before, if the change has
 * put right what was wrong with it.
 * @param sequence of the change, for the refusal
 */
export function takeChange(
  told: ToldChange,
  sequence: number,
  withheld: readonly Withheld[],
  check: CheckSite,
): Taken {
  const named = new Set([...told.put.map(({ name }) => name), ...told.delete]);
  const rest = withheld.filter(({ name }) => !named.has(name));
  const withRest = {
    put: [...rest.flatMap(({ site }) => site ?? []), ...told.put],
    delete: [...rest.flatMap(({ name, site }) => (site ? [] : name)), ...told.delete],
  };
  const whole = attempt(withRest, check);
  if (typeof whole !== 'string') return { change: whole, withheld: [] };
  const alone = rest.length === 0 ? whole : attempt(told, check);
  if (typeof alone !== 'string') return { change: alone, withheld: rest };
  const refusal: Refusal = { sequence, reason: alone };
  return {
    change: { put: [], delete: [] },
    withheld: [
      ...rest,
      ...told.put.map((site) => ({ name: site.name, site, refusal })),
      ...told.delete.map((name) => ({ name, refusal })),
    ],
  };
}

/**
 * Takes of a whole configuration what it can: in the place of a site that it cannot, the one it has.
 * @param present the sites that the node has
 */
export function takeSites(
  told: readonly ToldSite[],
  sequence: number,
  present: readonly Site[],
  check: CheckSite,
): { readonly sites: Site[]; readonly withheld: readonly Withheld[] } {
  const before = new Map(present.map((site) => [site.name, site]));
  const sites: Site[] = [];
  const withheld: Withheld[] = [];
  for (const site of told) {
    const { name } = site;
    const taken = attempt({ put: [site], delete: [] }, check);
    const kept = typeof taken === 'string' ? before.get(name) : taken.put[0];
    if (kept !== undefined) sites.push(kept);
    if (typeof taken === 'string') {
      withheld.push({ name, site, refusal: { sequence, reason: taken } });
    }
  }
  return { sites, withheld };
}

/** Each refused event once. */
export function refusalsOf(withheld: readonly Withheld[]): Refusal[] {
  const bySequence = new Map(withheld.map(({ refusal }) => [refusal.sequence, refusal]));
  return [...bySequence.values()];
}

/** @returns why not, where it cannot */
function attempt(told: ToldChange, check: CheckSite): SiteChange | string {
  try {
    const put = told.put.map((site) => validate(siteSchema, site, `site "${site.name}"`));
    for (const site of put) check(site);
    return { put, delete: told.delete };
  } catch (error) {
    return messageOf(error).slice(0, LONGEST_REASON);
  }
}

const LONGEST_REASON = 1_000;
