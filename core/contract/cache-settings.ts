import { z } from 'zod';
import { secondsSchema } from './names.ts';

/** Objects kept of one URL where a site does not say. */
export const DEFAULT_MAX_VARIANTS = 32;

/** A status of 400 to 599, as the key of an object. */
const errorStatusSchema = z.string().regex(/^[45]\d\d$/, 'a status of 400 to 599');

/** What a site says of caching where the origin is silent, within what RFC 9111 forbids. */
export const cacheSettingsSchema = z.strictObject({
  /** Freshness of answers that state none. `null`: the heuristic of RFC 9111 §4.2.2. */
  defaultFreshSeconds: secondsSchema.nullable().default(null),
  /** The least freshness of answers below 400 that state one, or have it by the heuristic. */
  minFreshSeconds: secondsSchema.default(0),
  /** The most freshness of answers that state one, or have it by the heuristic; wins over the least. */
  maxFreshSeconds: secondsSchema.nullable().default(null),
  /** Use the heuristic of RFC 9111 §4.2.2 where neither origin nor site states a freshness. */
  heuristicFreshness: z.boolean().default(true),
  /** Freshness of 404, 405, 410, 414 and 501 that state none; or by status, and none for others. */
  negativeFreshSeconds: z
    .union([secondsSchema, z.record(errorStatusSchema, secondsSchema)])
    .default(10),
  /** RFC 5861 §3 window of answers that state none. */
  staleWhileRevalidateSeconds: secondsSchema.default(0),
  /** RFC 5861 §4 window of answers that state none; must-revalidate and its kin still forbid it. */
  staleIfErrorSeconds: secondsSchema.default(86_400),
  /** Obey `Cache-Control` and `Pragma` of clients. Off, so that a reload cannot reach the origin. */
  honourClientCacheControl: z.boolean().default(false),
  /** Store answers that set cookies, where the origin allows sharing by `public`, a targeted field or explicit freshness. */
  storeSetCookie: z.boolean().default(false),
  /** Store answers to authorized requests where RFC 9111 §3.5 lets a cache. */
  storeAuthorized: z.boolean().default(true),
  /** Send `Cache-Tag`, `Surrogate-Key` and `xkey` on to clients. */
  exposeTags: z.boolean().default(true),
  /** Objects kept of one URL, by its key's headers, cookies, classes and `Vary`; beyond it the oldest goes. */
  maxVariants: z.int().min(1).max(256).default(DEFAULT_MAX_VARIANTS),
  /** Bytes of one slice of a large object: what is fetched, stored and evicted at a time. */
  sliceBytes: z
    .int()
    .min(4096)
    .max(16 * 1024 * 1024)
    .default(1024 * 1024),
  /** Objects larger than this that have a length and a strong `ETag` are kept in slices. */
  sliceAboveBytes: z
    .int()
    .min(4096)
    .default(8 * 1024 * 1024),
  /** Into the reserve of mid-tiers that have one (`--reserve`), which only a purge or expiry empties. */
  reserve: z.boolean().default(false),
  /** Objects larger than this that are not kept in slices are passed through, not stored. */
  maxObjectBytes: z
    .int()
    .min(0)
    .default(128 * 1024 * 1024),
  /** Requests that wait for one fill, per thread; more get what is stale, or 503. */
  maxWaiters: z.int().min(0).max(1_000_000).default(10_000),
  /** How long a request waits for a fill's header section; then it gets what is stale, or 503. */
  waitTimeoutMs: z.int().min(1).max(3_600_000).default(30_000),
  /** Refreshes behind that are under way at once, per thread; beyond it what is stored is served unrefreshed. */
  maxRefreshes: z.int().min(0).max(1_000_000).default(100),
  /** How often parents are asked per second, by each node, for what a purge has made stale; beyond it what is stale is served where it may be. */
  refillsPerSecond: z.int().min(1).max(1_000_000).default(100),
  /** The last part of its freshness in which an object in demand is refreshed behind; 0: never. */
  refreshAhead: z.number().min(0).max(0.9).default(0),
  /** The most of its freshness that an object gives up, so that not all expire at once; 0: nothing. */
  jitterFraction: z.number().min(0).max(0.5).default(0),
});

const { shape } = cacheSettingsSchema;

/** The cache settings that may depend on the answer; one that is left out stays as it is. */
export const cacheOverridesSchema = z.strictObject({
  defaultFreshSeconds: shape.defaultFreshSeconds.removeDefault().exactOptional(),
  minFreshSeconds: shape.minFreshSeconds.removeDefault().exactOptional(),
  maxFreshSeconds: shape.maxFreshSeconds.removeDefault().exactOptional(),
  heuristicFreshness: shape.heuristicFreshness.removeDefault().exactOptional(),
  negativeFreshSeconds: shape.negativeFreshSeconds.removeDefault().exactOptional(),
  staleWhileRevalidateSeconds: shape.staleWhileRevalidateSeconds.removeDefault().exactOptional(),
  staleIfErrorSeconds: shape.staleIfErrorSeconds.removeDefault().exactOptional(),
  storeSetCookie: shape.storeSetCookie.removeDefault().exactOptional(),
  storeAuthorized: shape.storeAuthorized.removeDefault().exactOptional(),
  reserve: shape.reserve.removeDefault().exactOptional(),
  maxObjectBytes: shape.maxObjectBytes.removeDefault().exactOptional(),
});

export type CacheSettings = z.output<typeof cacheSettingsSchema>;
