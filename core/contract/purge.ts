import { z } from 'zod';
import { contentDigestSchema } from './release.ts';
import { nameSchema, sequenceSchema, timestampSchema } from './names.ts';

/**
 * hard: never serve again; soft: stale from now on; refresh: soft, and fetch anew at once what is in
 * demand; ban: hard, and store nothing that matches until the ban is lifted.
 */
export const purgeModeSchema = z.enum(['hard', 'soft', 'refresh', 'ban']);

export const MAX_PURGED_URLS = 10_000;
/** Hosts, path prefixes or tags in one order. */
export const MAX_PURGED_SCOPES = 1_000;
/** Slashes of a prefix: with them an object's own prefixes are bounded. */
export const MAX_PREFIX_SEGMENTS = 64;
/** As of a response, see `tagsOf`. */
const MAX_TAG_CHARACTERS = 1024;

const scopes = (item: z.ZodString): z.ZodArray<z.ZodString> =>
  z.array(item.min(1)).min(1).max(MAX_PURGED_SCOPES);

/** What a purge concerns; both schemes and every port are meant. */
export const purgeTargetSchema = z.discriminatedUnion('kind', [
  /** Absolute URLs of the site. */
  z.strictObject({
    kind: z.literal('urls'),
    site: nameSchema,
    urls: z.array(z.string().max(16_384)).min(1).max(MAX_PURGED_URLS),
  }),
  /** Host and path, normalised: that path and all below it; with a slash at the end that path alone. Whatever the query. */
  z.strictObject({
    kind: z.literal('prefixes'),
    site: nameSchema,
    prefixes: scopes(z.string().max(16_384)),
  }),
  /** Surrogate keys, as the site's origin writes them. */
  z.strictObject({
    kind: z.literal('tags'),
    site: nameSchema,
    tags: scopes(z.string().max(MAX_TAG_CHARACTERS)),
  }),
  z.strictObject({
    kind: z.literal('hosts'),
    site: nameSchema,
    hosts: scopes(z.string().max(255)),
  }),
  z.strictObject({ kind: z.literal('site'), site: nameSchema }),
  z.strictObject({ kind: z.literal('everything') }),
]);

/** What a site's objects in the network's origin are from one event on. */
export const releaseSwitchSchema = z.strictObject({
  /** Of the release. */
  id: z.uuid(),
  /** SHA-256 of a content of the site, see `manifestSchema`. */
  manifest: contentDigestSchema,
  /** The time of all its objects, ms since the Unix epoch: later than what they replace, whatever the clocks say. */
  atMs: timestampSchema,
});

export const purgeOrderSchema = z.strictObject({
  id: z.string().min(1).max(64),
  mode: purgeModeSchema,
  target: purgeTargetSchema,
  /** Of the target's site: origins switch to it before they acknowledge, and so does everybody at one fence. */
  release: releaseSwitchSchema.exactOptional(),
});

/** What is not stored until the ban is lifted. A purge of several sites makes one for each. */
export const banSchema = z.strictObject({
  /** Of the purge that imposed it. */
  id: z.string().min(1).max(64),
  sequence: sequenceSchema.min(1),
  target: purgeTargetSchema,
});

export type PurgeMode = z.output<typeof purgeModeSchema>;
export type PurgeTarget = z.output<typeof purgeTargetSchema>;
export type ReleaseSwitch = z.output<typeof releaseSwitchSchema>;
export type PurgeOrder = z.output<typeof purgeOrderSchema>;
export type Ban = z.output<typeof banSchema>;

/** The site that a target is of; `undefined`: every site. */
export const siteOfTarget = (target: PurgeTarget): string | undefined =>
  target.kind === 'everything' ? undefined : target.site;

/** What a target names, a site by its own name. */
export function namesOf(target: PurgeTarget): readonly string[] {
  switch (target.kind) {
    case 'urls':
      return target.urls;
    case 'prefixes':
      return target.prefixes;
    case 'tags':
      return target.tags;
    case 'hosts':
      return target.hosts;
    case 'site':
      return [target.site];
    case 'everything':
      return [];
  }
}
