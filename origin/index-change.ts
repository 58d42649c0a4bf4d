import { z } from 'zod';

const place = { site: z.string(), path: z.string() };
const delivery = { contentType: z.string(), cacheControl: z.string().nullable() };
const atMs = z.int().min(0);

/**
 * One step of the index. All that it does is told here and nothing else decides over it, so that
 * the same steps in the same order make the same index anywhere.
 */
export const indexChangeSchema = z.discriminatedUnion('kind', [
  /** A content is kept as this body, in the place of another body where it was damaged. */
  z.strictObject({
    kind: z.literal('content'),
    site: z.string(),
    digest: z.string(),
    body: z.string(),
    size: z.int().min(0),
    atMs,
  }),
  /** A content is no longer kept. */
  z.strictObject({ kind: z.literal('drop'), site: z.string(), digest: z.string() }),
  z.strictObject({ kind: z.literal('object'), ...place, digest: z.string(), ...delivery, atMs }),
  z.strictObject({ kind: z.literal('delete'), ...place, atMs }),
  /** What is at a path now becomes an earlier version of it. */
  z.strictObject({ kind: z.literal('version'), ...place }),
  /** An earlier version is no longer kept. */
  z.strictObject({ kind: z.literal('forget'), ...place, atMs }),
  z.strictObject({
    kind: z.literal('hold'),
    site: z.string(),
    name: z.string(),
    digests: z.array(z.string()),
  }),
  /** The site is as of this release. */
  z.strictObject({
    kind: z.literal('release'),
    site: z.string(),
    id: z.string(),
    sequence: z.int().min(0),
  }),
]);

export type IndexChange = z.output<typeof indexChangeSchema>;
