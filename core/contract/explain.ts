import { z } from 'zod';
import { nameSchema, sequenceSchema, timestampSchema } from './names.ts';
import { tierSchema } from './node.ts';
import { purgeModeSchema, purgeTargetSchema } from './purge.ts';

/** Field lines of a request: name, value, name, value… */
const fieldsSchema = z.array(z.string().max(16_384)).max(512);

/** A client's request in question. */
export const clientAskedSchema = z.strictObject({
  as: z.literal('client'),
  method: z.string().min(1).max(32),
  scheme: z.enum(['http', 'https']),
  /** As in `Host`. */
  authority: z.string().max(512),
  /** Path and query. */
  target: z.string().max(16_384),
  fields: fieldsSchema,
  /** Where it would come from. */
  address: z.string().max(64),
});

/** The request that one node would send another for it. */
export const tierAskedSchema = z.strictObject({
  as: z.literal('tier'),
  site: nameSchema,
  /** The one of the site's `origins` that is to be asked; left out: its main one. */
  originName: z.string().max(64).exactOptional(),
  method: z.string().min(1).max(32),
  scheme: z.enum(['http', 'https']),
  host: z.string().max(512),
  target: z.string().max(16_384),
  fields: fieldsSchema,
  /** What selects the object under its URL, see `Keying.keyedBy`. */
  keyedBy: z.string().max(16_384),
  /** The asking node's fence. */
  fence: sequenceSchema,
});

export const askedSchema = z.discriminatedUnion('as', [clientAskedSchema, tierAskedSchema]);

/** What comes of a request at one tier, in a word. */
export const verdictSchema = z.enum([
  /** Answered from the cache, fresh. */
  'hit',
  /** Answered from the cache, past its freshness. */
  'stale',
  /** A parent is asked whether what is stored still holds. */
  'revalidate',
  /** A parent is asked for it. */
  'miss',
  /** A parent answers this one client alone. */
  'pass',
  /** The node answers by itself: a redirect, a response of a rule, a preflight. */
  'own-answer',
  /** Answered with an error, without a parent. */
  'refused',
]);

/** A part of a request that tells objects apart. */
export const keyPartSchema = z.enum([
  'site',
  'scheme',
  'host',
  'path',
  'query',
  'header',
  'cookie',
  'vary',
  'origin',
]);

/** One thing that a key is made of, or that it leaves out. */
export const keyInputSchema = z.strictObject({
  part: keyPartSchema,
  /** Of the parameter, header or cookie. */
  name: z.string().nullable(),
  /** As it counts; `null`: it is not there. Credentials are masked. */
  value: z.string().nullable(),
  /** Whether it is part of the key. */
  counts: z.boolean(),
  /** How that came about, with the setting that says so. */
  why: z.string(),
});

/** Where what is asked for and what is stored differ. */
export const differenceSchema = z.strictObject({
  part: keyPartSchema,
  name: z.string().nullable(),
  /** In the request; `null`: not there. Credentials are masked. */
  asked: z.string().nullable(),
  /** In the key of what is stored. */
  stored: z.string().nullable(),
});

/** A purge that concerns an object: it matches, and is later than the object's content. */
export const purgeConcernSchema = z.strictObject({
  scope: z.enum(['everything', 'site', 'prefix', 'tag', 'url']),
  /** The prefix or tag. */
  name: z.string().nullable(),
  mode: z.enum(['hard', 'soft']),
  /** Its place in the journal, where that is known. */
  sequence: sequenceSchema.nullable(),
  /** When it was ordered, where that is known. */
  at: timestampSchema.nullable(),
});

/** How fresh an object is: `terms` add up to `leftMs`. */
export const freshnessSumSchema = z.strictObject({
  /** What decides how long it is fresh: `s-maxage`, `max-age`, `expires`, `site-default`, `negative`, `heuristic`, `none`. */
  source: z.string(),
  terms: z.array(z.strictObject({ name: z.string(), ms: z.number(), why: z.string() })),
  /** Negative once it is stale. */
  leftMs: z.number(),
  /** How long it may be served past that: while it is refreshed behind, and when parents fail. */
  staleWhileRevalidateMs: z.number(),
  staleIfErrorMs: z.number(),
  /** Of the answer: `CDN-Cache-Control` where it counts, else `Cache-Control`. */
  cacheControl: z.string().nullable(),
});

/** One stored variant of the URL. */
export const storedVariantSchema = z.strictObject({
  /** It may answer this request, as far as keys and variants go. */
  suits: z.boolean(),
  /** Why not, otherwise. */
  differences: z.array(differenceSchema),
  status: z.int(),
  bytes: z.int(),
  /** `memory`, or `disk` where its content has to be read. */
  held: z.enum(['memory', 'disk']),
  receivedAt: timestampSchema,
  /** The fence up to which its content has heeded every purge. */
  asOf: sequenceSchema,
  etag: z.string().nullable(),
  /** Lower-case names. */
  vary: z.array(z.string()),
  tags: z.array(z.string()),
  freshness: freshnessSumSchema,
  purges: z.array(purgeConcernSchema),
});

/** How a rule of the site fares. */
export const ruleVerdictSchema = z.strictObject({
  name: z.string(),
  matches: z.boolean(),
  /** The first condition that does not hold. */
  unmet: z.string().nullable(),
  /** What it does to requests it matches: `deny`, `rewrite`, `cache`… */
  actions: z.array(z.string()),
});

/** How a guard of a rule that matches fares. Nothing is counted. */
export const guardVerdictSchema = z.strictObject({
  guard: z.string(),
  /** `null`: that is not known without trying. */
  admits: z.boolean().nullable(),
  why: z.string(),
});

/** One parent in the order in which the node would ask. */
export const parentSchema = z.strictObject({
  /** A node's name, or a server's URL. */
  name: z.string(),
  tier: z.enum(['mid-tier', 'origin', 'customer']),
  /** Why it has its place: see `Place` of the tree. */
  place: z.enum(['preferred', 'hot', 'loaded', 'open']),
  standing: z.enum(['closed', 'half-open', 'open']),
  /** The part of its weight that it is given; less than 1 for a while after it was away. */
  share: z.number(),
  /** Requests of this node under way at it. */
  underWay: z.int(),
  why: z.string(),
});

/** A parent that is not asked while others are left, or not at all. */
export const skippedParentSchema = z.strictObject({
  name: z.string(),
  tier: z.enum(['mid-tier', 'origin', 'customer']),
  why: z.string(),
});

/** A fetch of the object that is under way. */
export const fillUnderWaySchema = z.strictObject({
  /** Since it began. */
  ageMs: z.number(),
  /** Requests that wait for it now. */
  waiters: z.int(),
  /** It renews what is served meanwhile. */
  behind: z.boolean(),
  /** This request would share it. */
  shared: z.boolean(),
});

/** A stored object of another URL that is nearly this one. */
export const nearKeySchema = z.strictObject({
  key: z.string(),
  differences: z.array(differenceSchema),
  leftMs: z.number(),
});

export const nearKeysSchema = z.strictObject({
  /** The nearest first. */
  keys: z.array(nearKeySchema),
  /** How many differ in the same as the first does, it and those that are not told of included. */
  alike: z.int(),
  /** Objects that were looked at, and that there are. */
  looked: z.int(),
  of: z.int(),
  /** Not all were looked at, so that a nearer one may have been missed. */
  sampled: z.boolean(),
});

/** What an operator may want to change. */
export const hintSchema = z.strictObject({
  text: z.string(),
  /** The setting of the site that does it: `key.query`. */
  setting: z.string().nullable(),
});

/** What one node would do with the request now, and why. Nothing is changed by the question. */
export const nodeExplanationSchema = z.strictObject({
  node: nameSchema,
  tier: tierSchema,
  /** By the node's clock. */
  at: timestampSchema,
  /** Every event of the journal up to here is heeded: configuration and purges. */
  fence: sequenceSchema,
  leaseEnded: z.boolean(),
  /** Serving threads, the one where the object is at home, and what each would do by itself. */
  threads: z.array(
    z.strictObject({ slot: z.int(), isHome: z.boolean(), action: z.string(), reason: z.string() }),
  ),
  verdict: verdictSchema,
  /** As in `Cache-Status`, logs and metrics; see docs/cache-status.md. */
  reason: z.string(),
  /** The same in a sentence. */
  because: z.string(),
  /** The status of what the node answers by itself. */
  status: z.int().nullable(),
  site: nameSchema.nullable(),
  /** The `hosts` pattern of the site that the host matched; `null` at a mid-tier, which is told the site. */
  hostPattern: z.string().nullable(),
  rules: z.array(ruleVerdictSchema),
  guards: z.array(guardVerdictSchema),
  key: z.strictObject({ text: z.string(), inputs: z.array(keyInputSchema) }).nullable(),
  stored: z.array(storedVariantSchema),
  /** Bans that keep what is fetched from being stored. */
  banned: z.boolean(),
  /** An answer to this request was lately found uncacheable. */
  hitForMiss: z.boolean(),
  fill: fillUnderWaySchema.nullable(),
  parents: z.strictObject({
    /** Whether the node would ask one now. */
    asks: z.boolean(),
    order: z.array(parentSchema),
    skipped: z.array(skippedParentSchema),
  }),
  /** Looked for only where nothing is stored under the key. */
  near: nearKeysSchema.nullable(),
  hints: z.array(hintSchema),
});

/** The answer of a node. */
export const explainedSchema = z.strictObject({
  explanation: nodeExplanationSchema,
  /** As purges name it, nothing masked; `null`: the cache is not asked. */
  key: z.string().nullable(),
  /** What it would send the parent that it would ask first, if that is a node. */
  next: tierAskedSchema.nullable(),
});

const whoShape = { node: nameSchema, tier: tierSchema };

/** What one step on the way up has come to. */
export const explainedTierSchema = z.discriminatedUnion('status', [
  z.strictObject({
    ...whoShape,
    status: z.literal('explained'),
    explanation: nodeExplanationSchema,
  }),
  /** In service, and gave no answer in time. */
  z.strictObject({ ...whoShape, status: z.literal('silent') }),
  z.strictObject({ ...whoShape, status: z.literal('not-in-service') }),
  /** Its version knows no such question. */
  z.strictObject({ ...whoShape, status: z.literal('older-version'), version: z.string() }),
  /** The end of the way: a server of the customer, or an origin of the network. It is not asked. */
  z.strictObject({ status: z.literal('origin'), name: z.string(), why: z.string() }),
]);

/** A purge or ban in the journal that names the object. */
export const namedPurgeSchema = z.strictObject({
  id: z.string(),
  mode: purgeModeSchema,
  sequence: sequenceSchema,
  /** `null` of bans that are older than the journal. */
  at: timestampSchema.nullable(),
  target: purgeTargetSchema,
});

/** Why the network does what it does with a request, over all tiers. */
export const explanationSchema = z.strictObject({
  at: timestampSchema,
  url: z.string(),
  method: z.string(),
  site: nameSchema.nullable(),
  /** The journal's last sequence number: the configuration that nodes are to have. */
  sequence: sequenceSchema,
  /** In a sentence. */
  headline: z.string(),
  /** Of the edge; `null`: it has not told. */
  verdict: verdictSchema.nullable(),
  edge: z
    .strictObject({
      node: nameSchema,
      /** By what it was chosen. */
      by: z.enum(['node', 'location', 'client', 'default']),
      why: z.string(),
    })
    .nullable(),
  /** The edge first. */
  tiers: z.array(explainedTierSchema),
  /** Those that concern the object, the latest first, as far back as was looked. */
  purges: z.array(namedPurgeSchema),
  /** Purges before this place in the journal were not looked for. */
  purgesSince: sequenceSchema,
  bans: z.array(namedPurgeSchema),
  hints: z.array(hintSchema),
});

/** What lets a client see explanations of the requests that it sends. */
export const explainTokenSchema = z.strictObject({
  site: nameSchema,
  /** Ms since the Unix epoch. */
  until: timestampSchema,
});

export type ClientAsked = z.output<typeof clientAskedSchema>;
export type TierAsked = z.output<typeof tierAskedSchema>;
export type ExplainAsked = z.output<typeof askedSchema>;
export type ExplainVerdict = z.output<typeof verdictSchema>;
export type KeyInput = z.output<typeof keyInputSchema>;
export type KeyDifference = z.output<typeof differenceSchema>;
export type PurgeConcern = z.output<typeof purgeConcernSchema>;
export type FreshnessSum = z.output<typeof freshnessSumSchema>;
export type StoredVariant = z.output<typeof storedVariantSchema>;
export type RuleFared = z.output<typeof ruleVerdictSchema>;
export type GuardFared = z.output<typeof guardVerdictSchema>;
export type ParentFared = z.output<typeof parentSchema>;
export type SkippedParent = z.output<typeof skippedParentSchema>;
export type NearKeys = z.output<typeof nearKeysSchema>;
export type Hint = z.output<typeof hintSchema>;
export type NodeExplanation = z.output<typeof nodeExplanationSchema>;
export type Explained = z.output<typeof explainedSchema>;
export type ExplainedTier = z.output<typeof explainedTierSchema>;
export type NamedPurge = z.output<typeof namedPurgeSchema>;
export type Explanation = z.output<typeof explanationSchema>;
export type ExplainToken = z.output<typeof explainTokenSchema>;
