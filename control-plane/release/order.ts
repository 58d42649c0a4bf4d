import { z } from 'zod';
import type { Config } from '#core/contract/event.ts';
import { nameSchema } from '#core/contract/names.ts';
import { MAX_PREFIX_SEGMENTS, MAX_PURGED_SCOPES, type PurgeTarget } from '#core/contract/purge.ts';
import {
  isDocument,
  MAX_RELEASE_OBJECTS,
  type Manifest,
  type ReleaseObject,
  releaseObjectSchema,
} from '#core/contract/release.ts';
import type { Site } from '#core/contract/site.ts';
import { InvalidInput } from '#core/contract/validate.ts';
import { CanopyError } from '#core/errors.ts';
import { mediaTypeOf } from '#core/http/media-type.ts';
import { normalizePath } from '#core/http/target.ts';
import { withDirectories } from '../purge/published.ts';

const namesSchema = z.array(nameSchema).min(1).max(1_000);

const reason = z.string().min(1).max(1_000).exactOptional();

/** Where objects are to be before anybody asks; see pushes. */
const prefetchSchema = z.strictObject({
  tier: z.enum(['edge', 'mid-tier']).exactOptional(),
  locations: namesSchema.exactOptional(),
  nodes: namesSchema.exactOptional(),
});

export const releaseOrderSchema = z
  .strictObject({
    /** All that the site is to have; contents have been put. */
    objects: z.array(releaseObjectSchema).min(1).max(MAX_RELEASE_OBJECTS),
    prefetch: prefetchSchema.exactOptional(),
    reason,
  })
  .meta({ title: 'release' });

export const rollbackOrderSchema = z
  .strictObject({
    /** Left out: the release before the current one. */
    to: z.uuid().exactOptional(),
    reason,
  })
  .meta({ title: 'rollback' });

export type RollbackOrder = z.output<typeof rollbackOrderSchema>;
export type ReleaseOrder = z.output<typeof releaseOrderSchema>;
export type Prefetch = z.output<typeof prefetchSchema>;

/**
 * The objects as origins are to have them: in the order of their paths, which are normalised.
 * @throws InvalidInput naming the path that is malformed, or there twice
 */
export function normalizedObjects(objects: readonly ReleaseObject[]): readonly ReleaseObject[] {
  const byPath = new Map<string, ReleaseObject>();
  for (const [i, object] of objects.entries()) {
    const path = normalizePath(object.path);
    if (path === undefined || byPath.has(path)) {
      const expected = path === undefined ? 'a path that can be asked for' : 'each path once';
      throw new InvalidInput('release', [
        { path: `objects.${i}.path`, expected, received: JSON.stringify(object.path) },
      ]);
    }
    byPath.set(path, { ...object, path, contentType: typeOf({ ...object, path }) });
  }
  return [...byPath.values()].toSorted((a, b) => (a.path < b.path ? -1 : 1));
}

const typeOf = ({ path, contentType }: ReleaseObject): string => contentType ?? mediaTypeOf(path);

/** The same text for the same manifest, so that it has one digest. */
export const writtenManifest = ({ objects, deleted }: Manifest): string =>
  JSON.stringify({ objects, deleted });

/** Pages of an earlier release that the next no longer has. */
export function deletedPages(
  before: readonly ReleaseObject[],
  after: Manifest['objects'],
): string[] {
  const kept = new Set(after.map(({ path }) => path));
  return before
    .filter((object) => !kept.has(object.path) && isDocument(typeOf(object)))
    .map(({ path }) => path);
}

/** Of what is new, that which comes ahead of the switch: whatever pages may name. */
export const aheadOf = (
  objects: readonly ReleaseObject[],
  added: readonly string[],
): readonly ReleaseObject[] => {
  const isAdded = new Set(added);
  return objects.filter((object) => isAdded.has(object.path) && !isDocument(typeOf(object)));
};

/**
 * What caches may hold of some paths, under every query, for the origin minds none. In as many targets as
 * it takes.
 */
export function pathTargets(site: Site, paths: readonly string[]): readonly PurgeTarget[] {
  const host = hostOf(site);
  const all = withDirectories(paths);
  if (all.some((path) => path.split('/').length - 1 > MAX_PREFIX_SEGMENTS)) {
    return [{ kind: 'site', site: site.name }];
  }
  const targets: PurgeTarget[] = [];
  for (let from = 0; from < all.length; from += MAX_PURGED_SCOPES) {
    const prefixes = all.slice(from, from + MAX_PURGED_SCOPES).map((path) => `${host}${path}`);
    targets.push({ kind: 'prefixes', site: site.name, prefixes });
  }
  return targets;
}

/** The same in one target, for there is one event to switch by. */
export function switchTarget(site: Site, paths: readonly string[]): PurgeTarget {
  const [first, ...others] = pathTargets(site, paths.length === 0 ? ['/'] : paths);
  return first === undefined || others.length > 0 ? { kind: 'site', site: site.name } : first;
}

/** Nodes know what our own origin holds by path alone; the host is for people who read it. */
export const hostOf = ({ hosts }: Site): string =>
  hosts.find((pattern) => !pattern.startsWith('*')) ?? 'localhost';

/** @throws CanopyError `not-found`, `conflict` if it is none that has releases */
export function pushSite({ sites }: Pick<Config, 'sites'>, name: string): Site {
  const site = sites.find((known) => known.name === name);
  if (site === undefined) throw new CanopyError('not-found', `There is no site "${name}"`);
  if (site.origin.kind === 'push') return site;
  throw new CanopyError('conflict', `Site "${name}" pulls from its own servers`);
}
