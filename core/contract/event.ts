import { z } from 'zod';
import { journalIdSchema, nameSchema, sequenceSchema, timestampSchema } from './names.ts';
import { nodeSchema } from './node.ts';
import { siteSchema } from './site.ts';

/** hard: never serve again; soft: stale from now on. */
export const purgeModeSchema = z.enum(['hard', 'soft']);

/** What a purge concerns. URLs are absolute and belong to the site; both schemes of each are meant. */
export const purgeTargetSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('urls'),
    site: nameSchema,
    urls: z.array(z.string().max(16_384)).min(1).max(10_000),
  }),
  z.strictObject({ kind: z.literal('site'), site: nameSchema }),
]);

export const purgeOrderSchema = z.strictObject({
  id: z.string().min(1).max(64),
  mode: purgeModeSchema,
  target: purgeTargetSchema,
});

const secretSchema = z.string().min(16);

/** Secrets and settings of the whole network. */
export const networkSchema = z.strictObject({
  /** Proves to a parent that a request comes from a node of this network. */
  tierKey: secretSchema,
  /** Taken already, for nodes will soon present it. */
  nextTierKey: secretSchema.optional(),
  /** Taken still, for some nodes may not have heard of `tierKey`. */
  previousTierKey: secretSchema.optional(),
  /** Allows writing to the origin; only origin nodes are told. */
  publishKey: secretSchema.optional(),
});

const envelope = {
  sequence: sequenceSchema.min(1),
  /** When the control plane wrote it, ms since the Unix epoch. */
  at: timestampSchema,
};

/** An entry of the journal. Every change of what nodes do is one. */
export const journalEventSchema = z.discriminatedUnion('type', [
  z.strictObject({ ...envelope, type: z.literal('site.put'), site: siteSchema }),
  z.strictObject({ ...envelope, type: z.literal('site.delete'), name: nameSchema }),
  z.strictObject({ ...envelope, type: z.literal('node.put'), node: nodeSchema }),
  z.strictObject({ ...envelope, type: z.literal('node.delete'), name: nameSchema }),
  z.strictObject({ ...envelope, type: z.literal('network.put'), network: networkSchema }),
  z.strictObject({ ...envelope, type: z.literal('purge'), purge: purgeOrderSchema }),
]);

/** The whole configuration as of one sequence number: what a node runs on, and its last good config on disk. */
export const configSchema = z.strictObject({
  journal: journalIdSchema,
  sequence: sequenceSchema,
  network: networkSchema,
  sites: z.array(siteSchema),
  nodes: z.array(nodeSchema),
});

type Distribute<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

export type PurgeMode = z.output<typeof purgeModeSchema>;
export type PurgeTarget = z.output<typeof purgeTargetSchema>;
export type PurgeOrder = z.output<typeof purgeOrderSchema>;
export type Network = z.output<typeof networkSchema>;
export type JournalEvent = z.output<typeof journalEventSchema>;
/** An event before the journal has given it a place and a time. */
export type JournalEntry = Distribute<JournalEvent, 'sequence' | 'at'>;
export type Config = z.output<typeof configSchema>;
