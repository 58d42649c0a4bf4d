import { availableParallelism } from 'node:os';
import { z } from 'zod';
import { DEFAULT_POLICY, POLICY_NAMES } from '#core/cache/eviction/policies.ts';
import { enrolmentTokenSchema } from '#core/contract/enrolment.ts';
import { baseUrlSchema, nameSchema } from '#core/contract/names.ts';
import { parseRedisUrl, REDIS_URL_FORMS } from '#core/redis-client.ts';
import { UNKNOWN_NAME_POLICIES } from '#core/serving/tls/messages.ts';
import type { Setting, Settings } from './config.ts';
import { clientLimits } from './client-limit-settings.ts';
import { accessLogSettings } from './log-settings.ts';
import { wholeNumber } from './whole-number.ts';
import { sizeSchema } from './size.ts';

/** `127.0.0.1:8080` or `[::1]:8080` as host and port; port 0 is any free one. */
export const listenSchema = z
  .string()
  .regex(/^(?:\[[0-9a-f:.]+\]|[^\s:[\]]+):\d{1,5}$/i, 'HOST:PORT, such as 127.0.0.1:8080')
  .transform((text) => {
    const colon = text.lastIndexOf(':');
    return {
      host: text.slice(0, colon).replace(/^\[(.*)\]$/, '$1'),
      port: Number(text.slice(colon + 1)),
    };
  })
  .refine(({ port }) => port <= 65_535, { message: 'a port of at most 65535' });

/** `192.0.2.1`, `10.0.0.0/8`, `fd00::/8`. */
const networkSchema = z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()], {
  error: 'an IP address, or a network such as 10.0.0.0/8',
});

const listen = (port: number) =>
  ({
    schema: listenSchema,
    flag: '--listen <host:port>',
    variable: 'CANOPY_LISTEN',
    description: 'address to serve on; port 0 takes any free one',
    default: `127.0.0.1:${port}`,
  }) satisfies Setting;

const admin = (port: number) =>
  ({
    schema: listenSchema,
    flag: '--admin <host:port>',
    variable: 'CANOPY_ADMIN',
    description: 'address for /metrics and /healthz, open to whoever reaches it',
    default: `127.0.0.1:${port}`,
  }) satisfies Setting;

const dir = (fallback: string) =>
  ({
    schema: z.string().min(1),
    flag: '--dir <dir>',
    variable: 'CANOPY_DIR',
    description: 'where it keeps its state',
    default: fallback,
  }) satisfies Setting;

/** What any node is told. */
const node = {
  name: {
    schema: nameSchema.optional(),
    flag: '--name <name>',
    variable: 'CANOPY_NAME',
    description: 'the name that the node was added under; a node that was enrolled knows it',
  },
  controlPlaneUrls: {
    schema: z.array(baseUrlSchema).min(1),
    flag: '--control-plane <url...>',
    variable: 'CANOPY_CONTROL_PLANE',
    description: 'URL of the control plane; its replicas in order of preference',
    list: true,
  },
  controlPlaneCa: {
    schema: z.string().min(1).optional(),
    flag: '--control-plane-ca <file>',
    variable: 'CANOPY_CONTROL_PLANE_CA',
    description: "authorities (PEM) that the control plane's certificate is checked by",
  },
  enrol: {
    schema: enrolmentTokenSchema.optional(),
    flag: '--enrol <token>',
    variable: 'CANOPY_ENROL',
    description: 'one-time token of `canopy nodes enrol`, for the first start',
    secret: true,
  },
  credentialFile: {
    schema: z.string().optional(),
    flag: '--credential-file <file>',
    variable: 'CANOPY_CREDENTIAL_FILE',
    description: "file that holds the node's credential",
  },
  credential: {
    schema: z.string().min(1).optional(),
    variable: 'CANOPY_CREDENTIAL',
    description: "the node's credential",
    secret: true,
  },
} as const satisfies Settings;

const workers = {
  schema: wholeNumber(1, 256),
  flag: '--workers <n>',
  variable: 'CANOPY_WORKERS',
  description: 'threads that serve',
  default: availableParallelism(),
} as const satisfies Settings[string];

/** What a node with a cache is told besides. */
const cache = {
  workers,
  memoryBytes: {
    schema: sizeSchema,
    flag: '--memory <size>',
    variable: 'CANOPY_MEMORY',
    description: 'memory for stored objects, all threads together',
    default: '256m',
  },
  memoryPolicy: {
    schema: z.enum(POLICY_NAMES),
    flag: '--memory-policy <name>',
    variable: 'CANOPY_MEMORY_POLICY',
    description: `what leaves memory when it is full: ${POLICY_NAMES.join(', ')}`,
    default: DEFAULT_POLICY,
  },
  spillBytes: {
    schema: sizeSchema,
    flag: '--spill <size>',
    variable: 'CANOPY_SPILL',
    description: 'disk for what slow clients have not read yet, all threads together',
    default: '1g',
  },
  diskBytes: {
    schema: sizeSchema.optional(),
    flag: '--disk <size>',
    variable: 'CANOPY_DISK',
    description: 'disk for stored objects, kept over restarts; without it they are in memory alone',
  },
  diskDir: {
    schema: z.string().min(1).optional(),
    flag: '--disk-dir <dir>',
    variable: 'CANOPY_DISK_DIR',
    description: 'directory of its own for them, in place of disk/ in --dir',
  },
  diskFiles: {
    schema: wholeNumber(1, 1_000_000_000).optional(),
    flag: '--disk-files <n>',
    variable: 'CANOPY_DISK_FILES',
    description: 'files that they may take, besides the few of the index',
  },
  diskKeepFreeBytes: {
    schema: sizeSchema,
    flag: '--disk-keep-free <size>',
    variable: 'CANOPY_DISK_KEEP_FREE',
    description: 'disk left free for others, even if that is less than --disk for us',
    default: '100m',
  },
  drainMs: {
    schema: wholeNumber(0, 3_600_000),
    flag: '--drain-ms <ms>',
    variable: 'CANOPY_DRAIN_MS',
    description: 'how long transfers under way may take when it is told to stop',
    default: 10_000,
  },
  ...accessLogSettings,
} as const satisfies Settings;

const trustedProxies = {
  schema: z.array(networkSchema).default([]),
  flag: '--trusted-proxies <network...>',
  variable: 'CANOPY_TRUSTED_PROXIES',
  description: 'addresses or networks of proxies whose X-Forwarded-For is believed',
  list: true,
} as const satisfies Setting;

/** Where clients are: asked in their order. */
const geoDatabases = {
  schema: z.array(z.string().min(1)).default([]),
  flag: '--geo-database <file...>',
  variable: 'CANOPY_GEO_DATABASE',
  description:
    "databases of cities, countries or ASNs in MaxMind's format, read anew as they change",
  list: true,
} as const satisfies Setting;

export const edgeSettings = {
  ...node,
  dir: dir('.canopy/edge'),
  listen: listen(8080),
  tlsListen: {
    schema: listenSchema.optional(),
    flag: '--tls-listen <host:port>',
    variable: 'CANOPY_TLS_LISTEN',
    description: 'address to serve TLS on: HTTP/2 and HTTP/1.1',
  },
  unknownServerName: {
    schema: z.enum(UNKNOWN_NAME_POLICIES),
    flag: '--unknown-server-name <policy>',
    variable: 'CANOPY_UNKNOWN_SERVER_NAME',
    description:
      'of a client that asks for a name without a certificate: default (the certificate of that name) or refuse',
    default: 'default',
  },
  admin: admin(8090),
  ...cache,
  trustedProxies,
  ...clientLimits,
  geoDatabases,
  rateLimitRedis: {
    schema: z
      .string()
      .refine((text) => parseRedisUrl(text) !== undefined, { message: REDIS_URL_FORMS })
      .optional(),
    flag: '--rate-limit-redis <url>',
    variable: 'CANOPY_RATE_LIMIT_REDIS',
    description: 'Redis of all edges, in which rate limits of the scope network are counted',
    secret: true,
  },
  hitLane: {
    schema: z.enum(['on', 'off']),
    flag: '--hit-lane <on|off>',
    variable: 'CANOPY_HIT_LANE',
    description: 'answer plain requests for fresh objects in memory before they are parsed in full',
    default: 'on',
  },
} as const satisfies Settings;

export const midTierSettings = {
  ...node,
  dir: dir('.canopy/mid-tier'),
  listen: listen(8081),
  admin: admin(8091),
  ...cache,
  reserveBytes: {
    schema: sizeSchema.optional(),
    flag: '--reserve <size>',
    variable: 'CANOPY_RESERVE',
    description: 'part of --disk for sites with `reserve`, emptied only by purges and expiry',
  },
} as const satisfies Settings;

export const originSettings = {
  ...node,
  dir: dir('.canopy/origin'),
  listen: listen(8082),
  admin: admin(8092),
  store: {
    schema: z.enum(['disk', 's3']),
    flag: '--store <kind>',
    variable: 'CANOPY_STORE',
    description: 'where content lies: disk (in the directory) or s3 (credentials as for AWS tools)',
    default: 'disk',
  },
  s3Bucket: {
    schema: z.string().min(1).optional(),
    flag: '--s3-bucket <name>',
    variable: 'CANOPY_S3_BUCKET',
    description: 'the bucket, which must be there',
  },
  s3Prefix: {
    schema: z
      .string()
      .regex(/^[^/].*[^/]$|^[^/]$/, 'a prefix without / at its ends')
      .optional(),
    flag: '--s3-prefix <prefix>',
    variable: 'CANOPY_S3_PREFIX',
    description: "what this origin's keys begin with, of no other origin; its name where left out",
  },
  s3Endpoint: {
    schema: baseUrlSchema.optional(),
    flag: '--s3-endpoint <url>',
    variable: 'CANOPY_S3_ENDPOINT',
    description: 'of a service other than AWS',
  },
  s3Region: {
    schema: z.string().min(1).optional(),
    flag: '--s3-region <region>',
    variable: 'CANOPY_S3_REGION',
    description: 'where the bucket is; what AWS_REGION says where left out',
  },
  s3Addressing: {
    schema: z.enum(['auto', 'path', 'virtual']),
    flag: '--s3-addressing <style>',
    variable: 'CANOPY_S3_ADDRESSING',
    description:
      'the bucket in the path or in the hostname; auto: in the path if there is an endpoint',
    default: 'auto',
  },
} as const satisfies Settings;

/** `59.91,10.75`: degrees north and east. */
const pointSchema = z
  .string()
  .regex(/^-?\d{1,2}(?:\.\d+)?,-?\d{1,3}(?:\.\d+)?$/, 'LATITUDE,LONGITUDE, such as 59.91,10.75')
  .transform((text) => {
    const [latitude = 0, longitude = 0] = text.split(',').map(Number);
    return { latitude, longitude };
  })
  .refine(({ latitude, longitude }) => Math.abs(latitude) <= 90 && Math.abs(longitude) <= 180, {
    message: 'a point on the globe',
  });

/** Where clients are: the same for routers and for the control planes that explain them. */
const geography = {
  geoDatabases,
  elsewhere: {
    schema: pointSchema.optional(),
    flag: '--elsewhere <latitude,longitude>',
    variable: 'CANOPY_ELSEWHERE',
    description: 'where clients are whom no database knows',
  },
} as const satisfies Settings;

export const routerSettings = {
  ...node,
  dir: dir('.canopy/router'),
  listen: listen(8084),
  admin: admin(8094),
  dns: {
    schema: z.preprocess(
      // The default is one text.
      (given) => (typeof given === 'string' ? [given] : given),
      z.array(listenSchema).min(1),
    ),
    flag: '--dns <host:port...>',
    variable: 'CANOPY_DNS',
    description: 'addresses to serve DNS on, by UDP and TCP',
    default: '127.0.0.1:5353',
    list: true,
  },
  workers: { ...workers, description: 'threads that answer DNS' },
  ...geography,
  answersPerSecond: {
    schema: wholeNumber(0, 10_000_000),
    flag: '--answers-per-second <n>',
    variable: 'CANOPY_ANSWERS_PER_SECOND',
    description: 'DNS answers by UDP to one network; 0: no limit',
    default: 1000,
  },
  trustedProxies: edgeSettings.trustedProxies,
} as const satisfies Settings;

/** Where a control plane keeps its state. */
export const stateSettings = {
  dir: dir('.canopy/control-plane'),
  redisUrl: {
    schema: z.string().min(1).optional(),
    flag: '--redis <url>',
    variable: 'CANOPY_REDIS',
    description: 'Redis that keeps the state for several control planes, in place of --dir',
  },
} as const satisfies Settings;

export const controlPlaneSettings = {
  ...stateSettings,
  listen: listen(8083),
  admin: admin(8093),
  tlsCert: {
    schema: z.string().min(1).optional(),
    flag: '--tls-cert <file>',
    variable: 'CANOPY_TLS_CERT',
    description: 'certificate (PEM) that the API is served with; looked at again when it changes',
  },
  tlsKey: {
    schema: z.string().min(1).optional(),
    flag: '--tls-key <file>',
    variable: 'CANOPY_TLS_KEY',
    description: 'its key (PEM)',
  },
  allowPlainHttp: {
    schema: z.union([z.boolean(), z.stringbool()]).default(false),
    flag: '--allow-plain-http',
    variable: 'CANOPY_ALLOW_PLAIN_HTTP',
    description: 'serve beyond this machine without TLS, where something else protects the way',
  },
  trustedProxies,
  ...geography,
  leaseMs: {
    schema: wholeNumber(100, 3_600_000),
    flag: '--lease-ms <ms>',
    variable: 'CANOPY_LEASE_MS',
    description: 'how long a silent node counts as in service',
    default: 10_000,
  },
  adminTokenFile: {
    schema: z.string().min(1).optional(),
    flag: '--admin-token-file <file>',
    variable: 'CANOPY_ADMIN_TOKEN_FILE',
    description: 'file that holds the admin token of a first start',
  },
  adminToken: {
    schema: z.string().min(16).optional(),
    variable: 'CANOPY_ADMIN_TOKEN',
    description: 'the admin token of a first start; one is made if absent',
    secret: true,
  },
} as const satisfies Settings;

/** Of each command that runs one process. */
export const PROCESS_SETTINGS = {
  'control-plane': controlPlaneSettings,
  router: routerSettings,
  'mid-tier': midTierSettings,
  edge: edgeSettings,
  origin: originSettings,
} as const satisfies Readonly<Record<string, Settings>>;
