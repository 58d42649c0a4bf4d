import { z } from 'zod';
import { CONDITIONAL, HOP_BY_HOP } from '#core/http/fields.ts';

/** Pushes of a higher priority go first, at every node. */
export const pushPrioritySchema = z.enum(['high', 'normal', 'low']);

export const pushIdSchema = z.string().min(1).max(64);

/** URLs of one push, sources expanded. */
export const MAX_PUSH_URLS = 100_000;
/** Variants of each URL. */
const MAX_VARIANTS = 16;
/** Failures that a node tells of in full; the others are only counted. */
export const MAX_FAILURES = 20;

/** What a push may not ask with: it asks for what all may see, whole. */
const NOT_ASKED: ReadonlySet<string> = new Set([
  ...HOP_BY_HOP,
  ...CONDITIONAL,
  'authorization',
  'cache-control',
  'cdn-loop',
  'content-length',
  'expect',
  'forwarded',
  'host',
  'pragma',
  'via',
]);

const fieldNameSchema = z
  .string()
  .regex(/^[a-z0-9!#$%&'*+.^_`|~-]{1,64}$/, 'a field name in lower case')
  .refine((name) => !NOT_ASKED.has(name) && !/^(?:canopy-|x-forwarded-)/.test(name), {
    message: 'a field that a client may choose an answer by',
  });

/** A client that objects are pushed for: what it would ask with, where that tells objects apart. */
export const pushVariantSchema = z.strictObject({
  fields: z
    .record(fieldNameSchema, z.string().regex(/^[\x20-\x7e\t]{0,1024}$/, 'a field value'))
    .refine((fields) => Object.keys(fields).length <= 16, { message: 'at most 16 fields' })
    .default({}),
  /** Where it is, for sites whose key has the country. */
  country: z
    .string()
    .regex(/^[A-Z]{2}$/, 'a country of two capital letters')
    .exactOptional(),
});

/** A client as most are: one that can take every coding that caches tell apart. */
export const USUAL_VARIANT: PushVariant = { fields: { 'accept-encoding': 'gzip, br, zstd' } };

export const pushVariantsSchema = z.array(pushVariantSchema).min(1).max(MAX_VARIANTS);

const countSchema = z.int().min(0);

/** An object that could not be placed. */
export const pushFailureSchema = z.strictObject({
  url: z.string().max(16_384),
  /** A code of `core/errors.ts`, `status-…`, or why it was not stored. */
  reason: z.string().max(128),
});

/** How far a node is with one push. One URL in each variant is an object. */
export const pushCountsSchema = z.strictObject({
  /** Objects that are stored: fetched, or there already. */
  placed: countSchema,
  /** Of these, those that were fetched. */
  fetched: countSchema,
  /** Objects whose place is another mid-tier of the group. */
  elsewhere: countSchema,
  failed: countSchema,
  /** Content fetched. */
  bytes: countSchema,
});

/** What a node has done of the work that it was given. */
export const pushReportSchema = z.strictObject({
  push: pushIdSchema,
  /** Where the work began: the index of its first URL. */
  from: countSchema,
  /** The URLs before this index are settled; `from` while the work goes on. */
  through: countSchema,
  /** Since `from`. */
  counts: pushCountsSchema,
  failures: z.array(pushFailureSchema).max(MAX_FAILURES),
});

export const pushRequestSchema = z
  .strictObject({
    report: pushReportSchema.optional(),
    /** Whether the node has nothing to do. */
    idle: z.boolean(),
  })
  .meta({ title: 'report on pushes' });

/** Some URLs of a push, in their order. */
export const pushWorkSchema = z.strictObject({
  push: pushIdSchema,
  from: countSchema,
  urls: z.array(z.string().max(16_384)).min(1),
  variants: pushVariantsSchema,
  /** Objects fetched at a time. */
  concurrency: z.int().min(1).max(64),
  /** `null`: no limit. */
  bytesPerSecond: z.int().min(1).nullable(),
});

export const pushAnswerSchema = z.strictObject({
  /** Whether what was reported on is still wanted. */
  goesOn: z.boolean(),
  /** For a node that is idle. */
  work: pushWorkSchema.nullable(),
});

export type PushPriority = z.output<typeof pushPrioritySchema>;
export type PushVariant = z.output<typeof pushVariantSchema>;
export type PushCounts = z.output<typeof pushCountsSchema>;
export type PushFailure = z.output<typeof pushFailureSchema>;
export type PushReport = z.output<typeof pushReportSchema>;
export type PushRequest = z.output<typeof pushRequestSchema>;
export type PushWork = z.output<typeof pushWorkSchema>;
export type PushAnswer = z.output<typeof pushAnswerSchema>;

export const NO_COUNTS: PushCounts = { placed: 0, fetched: 0, elsewhere: 0, failed: 0, bytes: 0 };

export const addCounts = (a: PushCounts, b: PushCounts): PushCounts => ({
  placed: a.placed + b.placed,
  fetched: a.fetched + b.fetched,
  elsewhere: a.elsewhere + b.elsewhere,
  failed: a.failed + b.failed,
  bytes: a.bytes + b.bytes,
});
