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

export type RotationPhase = z.output<typeof networkSchema>['tierKeyRotation'];
export type NodeStatus = z.output<typeof nodeStatusSchema>;
export type Purge = z.output<typeof purgeSchema>;
export type ListedPurge = z.output<typeof listedPurgeSchema>;
export type Ban = z.output<typeof banSchema>;
export type StoredObject = z.output<typeof storedObjectSchema>;
