import { z } from 'zod';
import { nameSchema } from './names.ts';
import { countrySchema, networkSchema } from './places.ts';

export const CONTINENTS = ['AF', 'AN', 'AS', 'EU', 'NA', 'OC', 'SA'] as const;
export const continentSchema = z.enum(CONTINENTS);

/** An absolute name without its last dot: at most 253 characters (RFC 1035 §2.3.4), labels of at most 63. */
export const dnsNameSchema = z
  .string()
  .max(253)
  .regex(
    /^(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*$/,
    'a lower-case name of labels of 1 to 63 characters',
  );

/** What stands for itself, or for all names below a point that have nothing nearer (RFC 4592). */
const ownerSchema = z
  .string()
  .max(253)
  .refine((text) => dnsNameSchema.safeParse(text.replace(/^\*\./, '')).success, {
    message: 'a lower-case name, at most with *. before it',
  });

/** A TTL, seconds. */
const ttlSchema = z.int().min(0).max(604_800);

const RECORD_TTL_SECONDS = 300;
const record = <T extends string, V extends z.ZodType>(type: T, value: V) =>
  z.strictObject({
    name: ownerSchema,
    type: z.literal(type),
    ttlSeconds: ttlSchema.default(RECORD_TTL_SECONDS),
    values: z.array(value).min(1).max(100),
  });

/** RFC 8659 §4.1. */
const caaSchema = z.strictObject({
  critical: z.boolean().default(false),
  tag: z.string().regex(/^[a-z0-9]{1,15}$/, 'a property tag such as issue'),
  value: z.string().max(1024),
});

/** Records that the routers answer besides those that follow from sites and nodes. */
export const dnsRecordSchema = z.discriminatedUnion('type', [
  record('A', z.ipv4()),
  record('AAAA', z.ipv6()),
  record('CNAME', dnsNameSchema).refine(({ values }) => values.length === 1, {
    message: 'one value, for a name has at most one CNAME',
  }),
  record('TXT', z.string().max(4096)),
  record('CAA', caaSchema),
]);

/** A zone that is delegated to the routers. */
export const zoneSchema = z.strictObject({
  name: dnsNameSchema,
  /** Of NS records. Left out: the hostnames of the routers. */
  nameServers: z.array(dnsNameSchema).max(13).default([]),
  /** Of NS records and of the zone's SOA. */
  ttlSeconds: ttlSchema.default(3600),
  /** How long resolvers may keep that a name or type does not exist (RFC 2308). */
  negativeTtlSeconds: ttlSchema.default(30),
  records: z.array(dnsRecordSchema).max(10_000).default([]),
  /** Whether it is signed (RFC 4035), with a key that the control plane makes and keeps. */
  dnssec: z.boolean().default(false),
});

/** Who asks: what is stated must all fit; of each list one. */
const clientMatchSchema = z
  .strictObject({
    /** Networks such as `192.0.2.0/24`. */
    networks: z.array(networkSchema).max(10_000).default([]),
    asns: z.array(z.int().min(1).max(4_294_967_295)).max(10_000).default([]),
    countries: z.array(countrySchema).max(250).default([]),
    continents: z.array(continentSchema).max(7).default([]),
  })
  .refine((match) => Object.values(match).some((list) => list.length > 0), {
    message: 'at least one network, ASN, country or continent',
  });

/** The operator's word on some clients; all that match count. */
export const overrideSchema = z.strictObject({
  clients: clientMatchSchema,
  /** Only for these sites. Empty: for all. */
  sites: z.array(nameSchema).max(1000).default([]),
  /** Edges that these clients go to while one of them is well. Empty: any. */
  pin: z.array(nameSchema).max(1000).default([]),
  /** Edges that these clients never go to. */
  ban: z.array(nameSchema).max(1000).default([]),
});

/** What the routers are told of the whole network. */
export const networkRoutingSchema = z.strictObject({
  zones: z.array(zoneSchema).max(100).default([]),
  overrides: z.array(overrideSchema).max(1000).default([]),
  /** The part of an edge's limits at which clients begin to be sent elsewhere. */
  spillAt: z.number().min(0.1).max(1).default(0.8),
});

/** HLS and DASH players may ask the routers which pathway to take. */
const steeringSchema = z.strictObject({
  /** The pathway that the playlist itself names; `.` is the name of one without (RFC 8216bis §4.4.6.2). */
  basePathway: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,64}$/, 'a pathway of letters, digits, . _ and - (1 to 64 characters)')
    .default('.'),
  /** How long players go by an answer. */
  ttlSeconds: z.int().min(1).max(3600).default(10),
  /** A pathway on which a player gets less comes last for it. Left out: none does. */
  slowBelowBitsPerSecond: z.number().positive().exactOptional(),
});

/** What a site says of how its clients find an edge. */
export const siteRoutingSchema = z.strictObject({
  /** Edges that serve the site. Empty: all. */
  edges: z.array(nameSchema).max(10_000).default([]),
  /** Clients are only ever sent to edges there, by `country` of their location. Empty: anywhere. */
  within: z
    .strictObject({
      countries: z.array(countrySchema).max(250).default([]),
      continents: z.array(continentSchema).max(7).default([]),
    })
    .prefault({}),
  /** Edges that an answer names, at most. */
  answers: z.int().min(1).max(16).default(2),
  /** An edge counts as near as the nearest while the round trip to it is expected to take no longer than so much more. */
  nearMs: z.number().min(0).max(1000).default(2),
  /** Of answers that name edges. */
  ttlSeconds: ttlSchema.default(30),
  /** Of answers while an edge of the site has changed, or may be about to, for the worse or the better. */
  troubleTtlSeconds: ttlSchema.default(5),
  /** When no edge is well: name the least bad ones, or none. */
  lastResort: z.enum(['least-bad', 'none']).default('least-bad'),
  /** Of the HTTP router: 307 keeps the method, which 302 may turn into GET (RFC 9110 §15.4). */
  redirectStatus: z.union([z.literal(302), z.literal(307)]).default(302),
  /** Protocols that HTTPS records tell of (RFC 9460). Empty: there are none. */
  alpn: z
    .array(z.enum(['http/1.1', 'h2', 'h3']))
    .max(3)
    .default([]),
  /** Left out: they may not. */
  steering: steeringSchema.exactOptional(),
});

export const DEFAULT_NETWORK_ROUTING: NetworkRouting = networkRoutingSchema.parse({});

export type Continent = (typeof CONTINENTS)[number];
export type DnsRecord = z.output<typeof dnsRecordSchema>;
export type CaaValue = z.output<typeof caaSchema>;
export type Zone = z.output<typeof zoneSchema>;
export type Override = z.output<typeof overrideSchema>;
export type NetworkRouting = z.output<typeof networkRoutingSchema>;
/** As an operator writes it: defaults may be left out. */
export type NetworkRoutingInput = z.input<typeof networkRoutingSchema>;
export type SiteRouting = z.output<typeof siteRoutingSchema>;
