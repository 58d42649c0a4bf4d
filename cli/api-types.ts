import { z } from 'zod';
import { nodeSchema, tierSchema } from '#core/contract/node.ts';
import { purgeModeSchema, purgeTargetSchema } from '#core/contract/purge.ts';
import { loadSchema } from '#core/contract/report.ts';
import { siteSchema } from '#core/contract/site.ts';

// What the control plane answers, as far as the commands use it: fields that a newer control
// plane adds are let through, those that the commands need are checked.

export const healthSchema = z.looseObject({ sequence: z.int() });

export const networkSchema = z.looseObject({
  tierKeyRotation: z.enum(['none', 'announced', 'switched']),
});

export const delegationSignersSchema = z.looseObject({
  zones: z.array(
    z.looseObject({
      zone: z.string(),
      keyTag: z.int(),
      algorithm: z.int(),
      digestType: z.int(),
      digest: z.string(),
    }),
  ),
});

export const siteAnswerSchema = z.looseObject({ site: siteSchema, sequence: z.int() });

export const nodeStatusSchema = z.looseObject({
  ...nodeSchema.shape,
  fence: z.int(),
  leaseRemainingMs: z.number().nullable(),
  inService: z.boolean(),
  lastHeartbeat: z
    .looseObject({
      pid: z.int(),
      version: z.string(),
      load: z.looseObject(loadSchema.shape),
      at: z.number(),
    })
    .nullable(),
});

export const tokenSchema = z.looseObject({
  name: z.string(),
  scopes: z.array(z.string()),
  sites: z.array(z.string()).nullable(),
  createdAt: z.number(),
  expiresAt: z.number().nullable(),
  previousUntil: z.number().nullable(),
  lastUsedAt: z.number().nullish(),
});

export const tokenSecretSchema = tokenSchema.extend({ token: z.string() });

export const auditEntrySchema = z.looseObject({
  id: z.string(),
  at: z.number(),
  token: z.string().nullable(),
  address: z.string(),
  method: z.string(),
  path: z.string(),
  status: z.int(),
  code: z.string().nullable(),
  sequences: z.array(z.int()),
});

export const certificateSchema = z.looseObject({
  name: z.string(),
  site: z.string().nullable(),
  source: z.string(),
  names: z.array(z.string()),
  hosts: z.array(z.string()),
  keyType: z.string(),
  notAfter: z.number(),
});

export const certificateAnswerSchema = z.looseObject({
  certificate: certificateSchema,
  sequence: z.int(),
});

export const certificateOrderSchema = z.looseObject({
  name: z.string(),
  names: z.array(z.string()),
  challenge: z.string(),
  dueAt: z.number(),
  failures: z.int(),
  error: z.string().nullable(),
});

export const enrolmentSchema = z.looseObject({
  node: nodeSchema,
  token: z.string(),
  expiresAt: z.number(),
});

/** `credential` is there only when the node was new. */
export const nodeAnswerSchema = z.looseObject({ credential: z.string().optional() });

export const purgeSchema = z.looseObject({
  id: z.string(),
  mode: purgeModeSchema,
  status: z.enum(['pending', 'complete']),
  nodes: z.array(
    z.looseObject({
      node: z.string(),
      tier: tierSchema,
      status: z.enum(['acknowledged', 'pending', 'lease-ended']),
      objects: z.int().nullish(),
      bytes: z.int().nullish(),
      fills: z.int().nullish(),
      tookMs: z.number().nullish(),
    }),
  ),
});

/** Left out by a node that has not answered. */
const tollSchema = z.looseObject({
  objects: z.int().optional(),
  bytes: z.int().optional(),
  originRequestsPerSecond: z.number().optional(),
  sampled: z.boolean().optional(),
});

/** What a purge would do. */
export const purgePreviewSchema = tollSchema.extend({
  mode: purgeModeSchema,
  nodes: z.array(
    tollSchema.extend({
      node: z.string(),
      tier: tierSchema,
      status: z.enum(['answered', 'silent']),
    }),
  ),
});

/** A purge in the history. */
export const listedPurgeSchema = z.looseObject({
  id: z.string(),
  mode: z.string(),
  status: z.string(),
  createdAt: z.number(),
  sequences: z.array(z.int()).min(1),
  by: z.string().optional(),
  reason: z.string().optional(),
  kind: z.string(),
  /** How many are named, and the first of them. */
  names: z.int(),
  first: z.string().optional(),
});

export const banSchema = z.looseObject({ id: z.string(), target: purgeTargetSchema });
const rankedSchema = z.looseObject({
  node: z.string(),
  roundTripMs: z.number().nullable(),
  by: z.string(),
  measured: z
    .looseObject({ level: z.string(), of: z.string(), samples: z.number() })
    .nullable()
    .optional(),
});

export const routeExplanationSchema = z.looseObject({
  site: z.string(),
  client: z.looseObject({
    address: z.string(),
    network: z.string(),
    country: z.string().nullable(),
    asn: z.number().nullable(),
    placedBy: z.string(),
    point: z.looseObject({ latitude: z.number(), longitude: z.number() }).nullable(),
  }),
  steps: z.array(
    z.looseObject({
      step: z.string(),
      dropped: z.array(z.looseObject({ node: z.string(), reason: z.string() })),
    }),
  ),
  isLastResort: z.boolean(),
  chosen: z.array(rankedSchema),
  ranked: z.array(rankedSchema),
  scope: z.string(),
});

export const routeSimulationSchema = z.looseObject({
  clients: z.int(),
  moved: z.int(),
  moves: z.array(
    z.looseObject({
      from: z.string().nullable(),
      to: z.string().nullable(),
      clients: z.int(),
      requestsPerSecond: z.number(),
    }),
  ),
  edges: z.array(
    z.looseObject({
      node: z.string(),
      before: z.number(),
      after: z.number(),
      limit: z.number().nullable(),
      overloads: z.boolean(),
    }),
  ),
});

const findingSchema = z.looseObject({
  kind: z.string(),
  severity: z.enum(['error', 'warning']),
  message: z.string(),
});

const differenceSchema = z.looseObject({
  path: z.string(),
  before: z.unknown().optional(),
  after: z.unknown().optional(),
});

const versionSchema = z.looseObject({
  number: z.int(),
  author: z.string(),
  reason: z.string().nullable(),
  createdAt: z.number(),
  rollbackTo: z.int().nullable(),
  canary: z.array(z.string()).nullable(),
  status: z.enum(['canary', 'rolling-out', 'complete', 'halted', 'aborted']),
  sites: z.array(z.string()),
});

export const numberSchema = z.looseObject({ number: z.int() });

export const configSchema = z.looseObject({ version: z.int(), sites: z.array(siteSchema) });

export const versionsSchema = z.looseObject({
  items: z.array(versionSchema),
  next: z.string().nullable(),
});

export const outcomeSchema = z.looseObject({
  base: z.int(),
  version: versionSchema.nullable(),
  diff: z.array(differenceSchema),
  findings: z.array(findingSchema),
});

export const diffSchema = z.looseObject({
  from: z.int(),
  to: z.int(),
  diff: z.array(differenceSchema),
});

export const rolloutSchema = z.looseObject({
  ...versionSchema.shape,
  diff: z.array(differenceSchema),
  nodes: z.array(
    z.looseObject({
      node: z.string(),
      tier: tierSchema,
      status: z.enum(['applied', 'refused', 'pending', 'lease-ended']),
      reason: z.string().optional(),
    }),
  ),
});

export const pushSchema = z.looseObject({
  id: z.string(),
  status: z.enum(['running', 'complete', 'cancelled', 'expired']),
  urls: z.int(),
  skipped: z.int(),
  priority: z.string(),
  by: z.string(),
  reason: z.string().optional(),
  createdAt: z.number(),
  nodes: z.array(
    z.looseObject({
      node: z.string(),
      tier: tierSchema,
      location: z.string(),
      status: z.enum(['pending', 'complete', 'lease-ended']),
      objects: z.int(),
      placed: z.int(),
      fetched: z.int(),
      elsewhere: z.int(),
      failed: z.int(),
      bytes: z.int(),
      tookMs: z.number().nullable(),
      failures: z.array(z.looseObject({ url: z.string(), reason: z.string() })),
    }),
  ),
});

export const releaseSchema = z.looseObject({
  id: z.string(),
  site: z.string(),
  status: z.enum(['preparing', 'switching', 'current', 'superseded', 'failed', 'cancelled']),
  step: z.enum(['prepare', 'publish', 'prefetch', 'switch']),
  objects: z.int(),
  bytes: z.int(),
  added: z.int(),
  changed: z.int(),
  deleted: z.int(),
  by: z.string(),
  reason: z.string().optional(),
  createdAt: z.number(),
  switchedAt: z.number().nullable(),
  purge: z.string().nullable(),
  push: z.string().nullable(),
  isHeld: z.boolean(),
  failure: z.looseObject({ code: z.string(), detail: z.string() }).optional(),
});

export const storedObjectSchema = z.looseObject({
  path: z.string(),
  etag: z.string(),
  size: z.int(),
  contentType: z.string(),
});

export const problemSchema = z.looseObject({
  title: z.string().optional(),
  detail: z.string().optional(),
  code: z.string().optional(),
});

export type DelegationSigner = z.output<typeof delegationSignersSchema>['zones'][number];
export type RotationPhase = z.output<typeof networkSchema>['tierKeyRotation'];
export type RouteExplanation = z.output<typeof routeExplanationSchema>;
export type RouteSimulation = z.output<typeof routeSimulationSchema>;
export type NodeStatus = z.output<typeof nodeStatusSchema>;
export type Token = z.output<typeof tokenSchema>;
export type TokenSecret = z.output<typeof tokenSecretSchema>;
export type AuditEntry = z.output<typeof auditEntrySchema>;
export type Certificate = z.output<typeof certificateSchema>;
export type CertificateOrder = z.output<typeof certificateOrderSchema>;
export type Enrolment = z.output<typeof enrolmentSchema>;
export type Finding = z.output<typeof findingSchema>;
export type Difference = z.output<typeof differenceSchema>;
export type Version = z.output<typeof versionSchema>;
export type Outcome = z.output<typeof outcomeSchema>;
export type Rollout = z.output<typeof rolloutSchema>;
export type Purge = z.output<typeof purgeSchema>;
export type Toll = z.output<typeof tollSchema>;
export type PurgePreview = z.output<typeof purgePreviewSchema>;
export type ListedPurge = z.output<typeof listedPurgeSchema>;
export type Ban = z.output<typeof banSchema>;
export type Push = z.output<typeof pushSchema>;
export type StoredObject = z.output<typeof storedObjectSchema>;
export type Release = z.output<typeof releaseSchema>;
