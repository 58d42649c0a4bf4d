import { z } from 'zod';
import {
  type Config,
  configSchema,
  type JournalEvent,
  journalEventSchema,
} from '#core/contract/event.ts';
import { nameSchema, sequenceSchema, timestampSchema } from '#core/contract/names.ts';
import { validate } from '#core/contract/validate.ts';
import { changeSites } from './config.ts';
import {
  type CheckSite,
  takeChange,
  takeSites,
  toldChangeSchema,
  type ToldChange,
  toldSiteSchema,
  type Withheld,
  withheldSchema,
} from './told-sites.ts';

// What the journal says, as far as this node can apply it.

const snapshotSchema = configSchema.extend({ sites: z.array(toldSiteSchema) });

/** A configuration on disk, with what it lacks of the journal's sites. */
export const lastGoodSchema = snapshotSchema.extend({
  withheld: z.array(withheldSchema).default([]),
});

const envelope = { sequence: sequenceSchema.min(1), at: timestampSchema };

const siteEventSchema = z.discriminatedUnion('type', [
  z.strictObject({ ...envelope, type: z.literal('site.put'), site: toldSiteSchema }),
  z.strictObject({ ...envelope, type: z.literal('site.delete'), name: nameSchema }),
  z.strictObject({ ...envelope, type: z.literal('sites.change'), change: toldChangeSchema }),
]);

type SiteEvent = z.output<typeof siteEventSchema>;
export type LastGood = z.output<typeof lastGoodSchema>;

export interface ConfigReading {
  readonly config: Config;
  readonly withheld: readonly Withheld[];
}

/**
 * @param present the configuration that the node has
 * @throws InvalidInput where anything but a site does not fit
 */
export function readSnapshot(
  input: unknown,
  present: Config | undefined,
  check: CheckSite,
): ConfigReading {
  const told = validate(snapshotSchema, input, 'snapshot');
  const { sites, withheld } = takeSites(told.sites, told.sequence, present?.sites ?? [], check);
  return { config: { ...told, sites }, withheld };
}

/** What was withheld is tried again: the software may be another now. */
export function readLastGood({ withheld, ...told }: LastGood, check: CheckSite): ConfigReading {
  const { sequence } = told;
  const taken = takeSites(told.sites, sequence, [], check);
  const retried = takeChange({ put: [], delete: [] }, sequence, withheld, check);
  return {
    config: { ...told, sites: changeSites(taken.sites, retried.change) },
    withheld: [...taken.withheld, ...retried.withheld],
  };
}

/**
 * A change of sites may come with others that were withheld, or be withheld itself.
 * @throws InvalidInput for any other event that does not fit
 */
export function readEvent(
  input: unknown,
  withheld: readonly Withheld[],
  check: CheckSite,
): { readonly event: JournalEvent; readonly withheld: readonly Withheld[] } {
  const { data: told } = siteEventSchema.safeParse(input);
  if (told === undefined) {
    return { event: validate(journalEventSchema, input, 'journal event'), withheld };
  }
  const { sequence, at } = told;
  const taken = takeChange(changeIn(told), sequence, withheld, check);
  return {
    event: { sequence, at, type: 'sites.change', change: taken.change },
    withheld: taken.withheld,
  };
}

function changeIn(event: SiteEvent): ToldChange {
  switch (event.type) {
    case 'site.put':
      return { put: [event.site], delete: [] };
    case 'site.delete':
      return { put: [], delete: [event.name] };
    case 'sites.change':
      return event.change;
  }
}
