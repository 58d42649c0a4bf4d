import { z } from 'zod';
import { nameSchema } from '#core/contract/names.ts';
import type { Node } from '#core/contract/node.ts';
import {
  MAX_PUSH_URLS,
  pushPrioritySchema,
  pushVariantsSchema,
  USUAL_VARIANT,
} from '#core/contract/push.ts';
import { InvalidInput } from '#core/contract/validate.ts';
import type { PushTarget } from './record.ts';

const urlSchema = z.string().max(16_384);
const namesSchema = z.array(nameSchema).min(1).max(1_000);

export const pushOrderSchema = z
  .strictObject({
    /** Absolute, of sites of the network. */
    urls: z.array(urlSchema).max(MAX_PUSH_URLS).default([]),
    /** Sitemaps (sitemaps.org), indexes and lists of URLs, as they are or in gzip. */
    sitemaps: z.array(urlSchema).max(16).default([]),
    /** HLS or DASH: with all that they name. */
    manifests: z.array(urlSchema).max(64).default([]),
    to: z
      .strictObject({
        tier: z.enum(['edge', 'mid-tier']).exactOptional(),
        locations: namesSchema.exactOptional(),
        nodes: namesSchema.exactOptional(),
      })
      .prefault({}),
    priority: pushPrioritySchema.default('normal'),
    /** Of each node. `null`: no limit. */
    bytesPerSecond: z.int().min(1_024).max(1e12).nullable().default(null),
    /** Objects that each node fetches at a time. */
    concurrency: z.int().min(1).max(64).default(4),
    variants: pushVariantsSchema.default([USUAL_VARIANT]),
    /** What has not been pushed by then is not. */
    expiresInSeconds: z.int().min(1).max(604_800).default(86_400),
    reason: z.string().min(1).max(1_000).exactOptional(),
  })
  .refine(({ urls, sitemaps, manifests }) => urls.length + sitemaps.length + manifests.length > 0, {
    message: 'at least one of urls, sitemaps and manifests',
  })
  .meta({ title: 'push' });

export type PushOrder = z.output<typeof pushOrderSchema>;

/**
 * The nodes that a push is for: without a choice every edge; of locations the edges, unless another
 * tier is meant. Nodes that are draining are left out.
 * @throws InvalidInput where something that is named does not exist, or nothing is left
 */
export function targetsOf({ to }: Pick<PushOrder, 'to'>, nodes: readonly Node[]): PushTarget[] {
  const { tier, locations, nodes: names } = to;
  const caches = nodes.filter((node) => node.tier === 'edge' || node.tier === 'mid-tier');
  assertKnown('to.nodes', 'an edge or a mid-tier', names, new Set(caches.map(({ name }) => name)));
  const places = new Set(caches.map(({ location }) => location.name));
  assertKnown('to.locations', 'a location of an edge or a mid-tier', locations, places);
  const tierMeant = tier ?? (names === undefined ? 'edge' : undefined);
  const targets = caches.filter(
    (node) =>
      !node.draining &&
      (tierMeant === undefined || node.tier === tierMeant) &&
      (names === undefined || names.includes(node.name)) &&
      (locations === undefined || locations.includes(node.location.name)),
  );
  if (targets.length === 0) {
    throw new InvalidInput('push', [
      { path: 'to', expected: 'a choice that some node fits', received: JSON.stringify(to) },
    ]);
  }
  return targets.map(({ name, tier: of, location }) => ({
    node: name,
    tier: of,
    location: location.name,
  }));
}

function assertKnown(
  path: string,
  expected: string,
  named: readonly string[] | undefined,
  known: ReadonlySet<string>,
): void {
  const unknown = (named ?? []).filter((name) => !known.has(name));
  if (unknown.length === 0) return;
  throw new InvalidInput('push', [{ path, expected, received: JSON.stringify(unknown) }]);
}
