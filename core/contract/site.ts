import { z } from 'zod';
import { compressionSettingsSchema } from './compression.ts';
import { functionSchema } from './functions.ts';
import { imageSettingsSchema } from './images.ts';
import { keySettingsSchema } from './key-settings.ts';
import { cacheSettingsSchema } from './cache-settings.ts';
import { logSettingsSchema } from './log.ts';
import { baseUrlSchema, hostPatternSchema, nameSchema, secondsSchema } from './names.ts';
import { originConnectionShape } from './origin-connection.ts';
import { siteRoutingSchema } from './routing.ts';
import { signingKeySchema } from './rules/guards.ts';
import { rulesSchema } from './rules/rule.ts';

export const originServerSchema = z.strictObject({
  /** `http://` or `https://`, host and optional port. */
  url: baseUrlSchema,
  /** Servers of the lowest number are tried first. */
  priority: z.int().min(0).max(1000).default(0),
  /** Relative share of the objects among servers of the same priority. */
  weight: z.number().positive().max(1_000_000).default(1),
});

/** Requests that a node sends by itself, to learn which origin servers are well. */
export const healthCheckSchema = z.strictObject({
  path: z
    .string()
    .max(2048)
    .regex(/^\/[\x21-\x7e]*$/, 'a path with / first'),
  /** Between two checks of one server. */
  intervalMs: z.int().min(100).max(3_600_000).default(5000),
  /** For the header section of the answer. */
  timeoutMs: z.int().min(1).max(60_000).default(2000),
  /** Statuses of a server that is well. */
  status: z.array(z.int().min(200).max(599)).min(1).max(20).default([200]),
  /** Good checks in a row after which a server that was down is up. */
  rise: z.int().min(1).max(100).default(2),
  /** Failed checks in a row after which a server is down. */
  fall: z.int().min(1).max(100).default(3),
});

const pullOriginSchema = z.strictObject({
  /** The customer's own HTTP servers. */
  kind: z.literal('pull'),
  servers: z.array(originServerSchema).min(1).max(32),
  ...originConnectionShape,
  /** Left out: servers are known by how they answer clients' requests only. */
  check: healthCheckSchema.exactOptional(),
});

/** Where a site's content comes from. */
export const originSchema = z.discriminatedUnion('kind', [
  pullOriginSchema,
  z.strictObject({
    /** The network's own origin, filled by `canopy put`. */
    kind: z.literal('push'),
    /** What the site may take up at the origin. `null`: as much as there is. */
    quota: z
      .strictObject({
        /** Objects that can be asked for. */
        maxObjects: z.int().min(0).nullable().default(null),
        /** Bytes of all contents kept, each counted once. */
        maxBytes: z.int().min(0).nullable().default(null),
      })
      .prefault({}),
    /** Replaced or deleted versions that are kept of each path; they count as bytes. */
    keepVersions: z.int().min(0).max(1000).default(0),
    releases: z
      .strictObject({
        /** What a release no longer has, but for pages, stays retrievable for so long. */
        keepAssetsSeconds: secondsSchema.default(604_800),
        /** Releases, the current one included, that can be switched to at once. */
        keep: z.int().min(1).max(100).default(10),
      })
      .prefault({}),
  }),
]);

/** How a node asks its parents: how long it waits, how often it tries, how much it asks at once. */
export const upstreamSettingsSchema = z.strictObject({
  /** Connecting, TLS included. */
  connectTimeoutMs: z.int().min(1).max(600_000).default(500),
  /** From the request sent to the header section received; what the client takes for its content is not counted. A mid-tier is given twice this. */
  firstByteTimeoutMs: z.int().min(1).max(600_000).default(10_000),
  /** All attempts together, to a header section; only for requests that may be tried again. */
  totalTimeoutMs: z.int().min(1).max(3_600_000).default(30_000),
  /** Between two pieces of a body. */
  idleTimeoutMs: z.int().min(1).max(600_000).default(10_000),
  /** How long a request waits for a parent where a stale copy may stand in. */
  staleAfterMs: z.int().min(0).max(600_000).default(1000),
  /** Of an upgraded connection (WebSocket): with nothing moving either way for so long it is cut. */
  tunnelIdleTimeoutMs: z.int().min(1).max(86_400_000).default(120_000),
  /** Statuses of a server that is unwell: another is asked, and it counts as a failure. */
  failureStatuses: z.array(z.int().min(500).max(599)).max(20).default([502, 503, 504]),
  /** Requests sent again, as a part of all: at most so many, in ten seconds. */
  retryFraction: z.number().min(0).max(1).default(0.2),
  /** Requests that may be sent again whatever the fraction. */
  retriesPerSecond: z.number().min(0).max(10_000).default(10),
  /** Ask a second parent, too, when the first takes longer than for 95 of 100 requests. */
  hedge: z.boolean().default(false),
  /** Requests of the site under way at one parent, per thread; more wait in line. */
  maxConnections: z.int().min(1).max(10_000).default(256),
  /** Requests in that line; more go to another parent, or get 503. */
  maxQueue: z.int().min(0).max(100_000).default(1024),
});

/** What a site takes of its clients. */
export const siteLimitsSchema = z.strictObject({
  /** Bytes of a request's content; more is refused with 413. `null`: as many as come. */
  maxContentBytes: z
    .int()
    .min(0)
    .nullable()
    .default(1024 * 1024 * 1024),
});

/** Requests over TLS, and the way to it. */
export const tlsSettingsSchema = z.strictObject({
  /** Send clients that come by plain HTTP to the same URL over TLS. */
  redirect: z.boolean().default(false),
  /** Have browsers use nothing but TLS from now on (RFC 6797). `null`: say nothing. */
  hsts: z
    .strictObject({
      maxAgeSeconds: secondsSchema.default(31_536_000),
      includeSubdomains: z.boolean().default(false),
      preload: z.boolean().default(false),
    })
    .nullable()
    .default(null),
  /** Authorities (PEM) by which clients have to be certified. `null`: clients are not asked. */
  clientAuthorities: z.string().min(1).max(65_536).nullable().default(null),
  /** `Alt-Svc` of answers over TLS (RFC 7838), such as `h3=":443"` of a proxy before the edge. `null`: none. */
  altSvc: z
    .string()
    .regex(/^[\x20-\x7e]{1,1024}$/, 'a field value')
    .nullable()
    .default(null),
  /** Tell clients by 103 (RFC 8297) what an answer linked to before, while the answer is fetched. */
  earlyHints: z.boolean().default(false),
});

const MAX_FUNCTIONS = 16;

/** A customer's property. */
export const siteSchema = z.strictObject({
  name: nameSchema,
  /** Exact names win over wildcards, longer wildcards over shorter, `*` comes last. */
  hosts: z.array(hostPatternSchema).min(1).max(10_000),
  origin: originSchema,
  /** Further origins by name, of which rules have some requests answered. Where the main one is of kind `pull`. */
  origins: z
    .record(nameSchema, pullOriginSchema)
    .refine((origins) => Object.keys(origins).length <= 16, { message: 'at most 16 origins' })
    .default({}),
  /** What tells its objects apart. */
  key: keySettingsSchema.prefault({}),
  cache: cacheSettingsSchema.prefault({}),
  /** What is done about some of its requests, answers and objects. */
  rules: rulesSchema,
  /** Programs of the customer's, by the names that rules call them by. */
  functions: z
    .record(nameSchema, functionSchema)
    .refine((functions) => Object.keys(functions).length <= MAX_FUNCTIONS, {
      message: `at most ${MAX_FUNCTIONS} functions`,
    })
    .default({}),
  /** What edges compress for clients. */
  compression: compressionSettingsSchema.prefault({}),
  /** What edges make of images. */
  images: imageSettingsSchema.prefault({}),
  /** By which URLs are signed, and tokens with a shared secret, for the rules that require them. */
  signingKeys: z.array(signingKeySchema).max(100).default([]),
  upstream: upstreamSettingsSchema.prefault({}),
  limits: siteLimitsSchema.prefault({}),
  /** The group of mid-tiers through which all others go to the origin. `null`: each goes by itself. */
  shieldGroup: nameSchema.nullable().default(null),
  /** What a node does once its lease has ended, so that it may have missed a purge: serve on and say so, or revalidate first. */
  onLeaseEnd: z.enum(['serve', 'revalidate']).default('serve'),
  tls: tlsSettingsSchema.prefault({}),
  /** What the access logs of nodes have of it. */
  log: logSettingsSchema.prefault({}),
  /** How its clients find an edge. */
  routing: siteRoutingSchema.prefault({}),
});

export type Site = z.output<typeof siteSchema>;
/** A site as an operator writes it: defaults may be left out. */
export type SiteInput = z.input<typeof siteSchema>;
export type PullOrigin = Extract<Site['origin'], { readonly kind: 'pull' }>;
export type OriginServer = z.output<typeof originServerSchema>;
export type HealthCheck = z.output<typeof healthCheckSchema>;
export type TlsSettings = z.output<typeof tlsSettingsSchema>;
export type UpstreamSettings = z.output<typeof upstreamSettingsSchema>;

/** The further origins of a site by their names. Our own origin's objects have no hosts, which others' have, so that it has none beside it. */
export const alternateOrigins = ({
  origin,
  origins,
}: Pick<Site, 'origin' | 'origins'>): readonly (readonly [string, PullOrigin])[] =>
  origin.kind === 'pull' ? Object.entries(origins) : [];

/** Every origin of customers' servers that a site has, the main one first. */
export const pullOrigins = (site: Pick<Site, 'origin' | 'origins'>): readonly PullOrigin[] =>
  site.origin.kind === 'pull'
    ? [site.origin, ...alternateOrigins(site).map(([, origin]) => origin)]
    : [];
