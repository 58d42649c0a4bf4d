import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import type { SiteChange } from '#core/contract/event.ts';
import { nameSchema, sequenceSchema, timestampSchema } from '#core/contract/names.ts';
import { type Site, siteSchema } from '#core/contract/site.ts';
import { changeSites } from '#core/node/config.ts';

/**
 * How far a version has come.
 * - `canary`: the nodes that were named for it have it, and wait for a word
 * - `rolling-out`: it is on its way to every node
 * - `complete`: every node in service has it
 * - `halted`: a node could not apply it
 * - `aborted`: it was taken from the nodes that had it before all others
 */
export const rolloutStatusSchema = z.enum([
  'canary',
  'rolling-out',
  'complete',
  'halted',
  'aborted',
]);

/** What becomes of a version that a node cannot apply: every node goes back, or all stays as it is. */
export const onRefusalSchema = z.enum(['rollback', 'keep']);

/** One site before and after; `null`: there is none. */
const siteDeltaSchema = z.strictObject({
  name: nameSchema,
  before: siteSchema.nullable(),
  after: siteSchema.nullable(),
});

/** A version of the sites, as what it changed: the sites themselves are found from those of today backwards. */
export const configVersionSchema = z.strictObject({
  /** 1 is the first change. */
  number: z.int().min(1),
  /** Name of the token. */
  author: z.string(),
  reason: z.string().nullable(),
  createdAt: timestampSchema,
  /** The version whose sites it brought back. */
  rollbackTo: z.int().min(0).nullable(),
  deltas: z.array(siteDeltaSchema),
  /** Nodes that have it, or had it, before all others. */
  canary: z.array(nameSchema).nullable(),
  /** Of the event that gave it to the first nodes. */
  sequence: sequenceSchema,
  /** Of the event that gave it to all; `null`: none did. */
  appliedSequence: sequenceSchema.nullable(),
  status: rolloutStatusSchema,
  onRefusal: onRefusalSchema,
  /** Who could not apply it, and why. */
  refusals: z.array(z.strictObject({ node: nameSchema, reason: z.string() })),
});

export type RolloutStatus = z.output<typeof rolloutStatusSchema>;
export type OnRefusal = z.output<typeof onRefusalSchema>;
export type SiteDelta = z.output<typeof siteDeltaSchema>;
export type ConfigVersion = z.output<typeof configVersionSchema>;

/** As the id of a record, ordered by number. */
export const versionId = (number: number): string => String(number).padStart(12, '0');

export const isUnderWay = ({ status }: Pick<ConfigVersion, 'status'>): boolean =>
  status === 'canary' || status === 'rolling-out';

/** What leads from some sites to others, by name. */
export function deltasBetween(from: readonly Site[], to: readonly Site[]): SiteDelta[] {
  const before = new Map(from.map((site) => [site.name, site]));
  const after = new Map(to.map((site) => [site.name, site]));
  return [...new Set([...before.keys(), ...after.keys()])]
    .toSorted()
    .map((name) => ({
      name,
      before: before.get(name) ?? null,
      after: after.get(name) ?? null,
    }))
    .filter((delta) => !isDeepStrictEqual(delta.before, delta.after));
}

export const siteChangeOfDeltas = (deltas: readonly SiteDelta[]): SiteChange => ({
  put: deltas.flatMap(({ after }) => after ?? []),
  delete: deltas.flatMap(({ name, after }) => (after === null ? name : [])),
});

export const undone = (deltas: readonly SiteDelta[]): SiteDelta[] =>
  deltas.map(({ name, before, after }) => ({ name, before: after, after: before }));

/**
 * The sites as of version `number`: those of today, with every later version undone.
 * @param today and the sequence of the journal that they are of
 * @param later versions, the latest first, down to `number`
 */
export function sitesAt(
  today: { readonly sites: readonly Site[]; readonly sequence: number },
  later: readonly ConfigVersion[],
  number: number,
): readonly Site[] {
  return later
    .filter(
      (version) =>
        version.number > number &&
        version.appliedSequence !== null &&
        version.appliedSequence <= today.sequence,
    )
    .reduce<readonly Site[]>(
      (sites, { deltas }) => changeSites(sites, siteChangeOfDeltas(undone(deltas))),
      today.sites,
    );
}
