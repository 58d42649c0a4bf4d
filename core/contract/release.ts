import { z } from 'zod';

/** Objects of one release. */
export const MAX_RELEASE_OBJECTS = 50_000;

export const contentDigestSchema = z
  .string()
  .regex(/^[0-9a-f]{64}$/, '64 lower-case hexadecimal digits');

const pathSchema = z.string().startsWith('/').max(8_192);

/** A content of the site, and how it is served at a path. */
export const releaseObjectSchema = z.strictObject({
  path: pathSchema,
  /** SHA-256. */
  digest: contentDigestSchema,
  /** Left out: by the ending of the path. */
  contentType: z.string().max(1_024).exactOptional(),
  /** `Cache-Control` to serve it with. */
  cacheControl: z.string().max(1_024).exactOptional(),
});

/** What origins switch to, as a content of the site: paths are normalised. */
export const manifestSchema = z.strictObject({
  objects: z.array(releaseObjectSchema).max(MAX_RELEASE_OBJECTS),
  /** Paths without an object from then on. */
  deleted: z.array(pathSchema).max(MAX_RELEASE_OBJECTS).default([]),
});

/** What an origin finds on preparing a release. */
export const preparedSchema = z.strictObject({
  /** Paths that have no object yet. */
  added: z.array(z.string()),
  /** Paths whose object is another, or served otherwise. */
  changed: z.array(z.string()),
  /** Paths whose object goes. */
  deleted: z.array(z.string()),
  /** When the last of these paths changed, ms since the Unix epoch; 0: never. */
  latestMs: z.number().min(0),
  /** Of all contents. */
  bytes: z.int().min(0),
});

/** What becomes of a site's objects that only earlier releases have. */
export const retirementSchema = z.strictObject({
  /** Digest of the manifest whose objects go. */
  manifest: contentDigestSchema,
  /** Digests of manifests whose paths stay. */
  except: z.array(contentDigestSchema).max(1_000),
});

export type ReleaseObject = z.output<typeof releaseObjectSchema>;
export type Manifest = z.output<typeof manifestSchema>;
export type Prepared = z.output<typeof preparedSchema>;
export type Retirement = z.output<typeof retirementSchema>;

const DOCUMENT = /^(?:text\/html|application\/xhtml\+xml)(?:\s*;|$)/i;

/**
 * Whether it is a page, which names what else belongs to it: pages change with the switch, whereas what they
 * name is there before and stays after.
 */
export const isDocument = (contentType: string): boolean => DOCUMENT.test(contentType);
