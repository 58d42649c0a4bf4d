import { z } from 'zod';
import { MAX_PURGED_URLS, type PurgeTarget } from '#core/contract/purge.ts';
import type { Site } from '#core/contract/site.ts';

/** The field of an answer that names the purge of what was published. */
export const PURGE_FIELD = 'canopy-purge';

/** Of a publication, its paths; the origin has checked the rest. */
const publicationSchema = z.object({
  objects: z.array(z.object({ path: z.string() })).default([]),
  deleted: z.array(z.string()).default([]),
});

/** @param text of a publication that an origin has taken */
export function pathsOf(text: string): readonly string[] {
  const { objects, deleted } = publicationSchema.parse(JSON.parse(text));
  return [...objects.map(({ path }) => path), ...deleted];
}

/**
 * What caches may hold of objects that the origin has anew or no more, and of their absence: an
 * index page is also what its directory is answered with. In as many targets as it takes.
 * @param paths as in a URL
 */
export function publishedTargets(
  { name, hosts, origin }: Site,
  paths: readonly string[],
): readonly PurgeTarget[] {
  if (origin.kind !== 'push') return [];
  // Nodes know what our own origin holds by path alone; the host is for people who read it.
  const host = hosts.find((pattern) => !pattern.startsWith('*')) ?? 'localhost';
  return inTargets(
    name,
    withDirectories(paths).map((path) => `http://${host}${path}`),
  );
}

/** URLs of a site in as many targets as it takes. */
export function inTargets(site: string, urls: readonly string[]): PurgeTarget[] {
  const targets: PurgeTarget[] = [];
  for (let from = 0; from < urls.length; from += MAX_PURGED_URLS) {
    targets.push({ kind: 'urls', site, urls: urls.slice(from, from + MAX_PURGED_URLS) });
  }
  return targets;
}

/** URLs, and those by which our own origin knows the same objects: an index page and its directory. */
export const withTwins = (urls: readonly string[]): readonly string[] => [
  ...new Set(urls.flatMap((url) => [url, ...twinOf(url.split('?', 1)[0] ?? '')])),
];

function twinOf(url: string): readonly string[] {
  if (url.endsWith(`/${INDEX}`)) return [url.slice(0, -INDEX.length)];
  return url.endsWith('/') ? [url + INDEX] : [];
}

/** The paths, and those that are answered with one of them. */
export const withDirectories = (paths: readonly string[]): readonly string[] => [
  ...new Set(paths.flatMap((path) => [path, ...directoryOf(path)])),
];

const INDEX = 'index.html';

const directoryOf = (path: string): readonly string[] =>
  path.endsWith(`/${INDEX}`) ? [path.slice(0, -INDEX.length)] : [];
