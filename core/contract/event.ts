import { z } from 'zod';
import { certificateEntrySchema, challengeSchema } from './certificate.ts';
import { journalIdSchema, nameSchema, sequenceSchema, timestampSchema } from './names.ts';
import { nodeSchema } from './node.ts';
import { banSchema, purgeOrderSchema, releaseSwitchSchema } from './purge.ts';
import { pushIdSchema } from './push.ts';
import { dnsNameSchema, networkRoutingSchema } from './routing.ts';
import { siteSchema } from './site.ts';

/** Sites of one network, so that one change of all of them fits an event. */
export const MAX_SITES = 10_000;

/** What becomes of some sites, all at once. */
export const siteChangeSchema = z.strictObject({
  put: z.array(siteSchema).max(MAX_SITES),
  /** Names. */
  delete: z.array(nameSchema).max(MAX_SITES),
});

/** A change of sites that some nodes have before all others. */
export const canarySchema = z.strictObject({
  nodes: z.array(nameSchema).min(1).max(10_000),
  change: siteChangeSchema,
});

/** A push was ordered or cancelled: nodes ask what there is to do, for the journal does not hold its URLs. */
export const pushChangeSchema = z.strictObject({
  id: pushIdSchema,
  change: z.enum(['ordered', 'cancelled']),
});

const secretSchema = z.string().min(16);

const dnssecKeySchema = z.strictObject({
  zone: dnsNameSchema,
  /** Of P-256: PKCS #8 in DER, base64url. */
  key: z.base64url(),
});

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
  /** Left out: there are no zones and no overrides. */
  routing: networkRoutingSchema.exactOptional(),
  /** What zones are signed with; of each zone for ever, for its parent has been told. Only routers are told. */
  dnssecKeys: z.array(dnssecKeySchema).max(1000).exactOptional(),
  /** Only edges are told. */
  challenges: z.array(challengeSchema).max(1000).exactOptional(),
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
  z.strictObject({ ...envelope, type: z.literal('sites.change'), change: siteChangeSchema }),
  /** Nodes are told it as `sites.change`: their own change, or none. */
  z.strictObject({ ...envelope, type: z.literal('canary.begin'), canary: canarySchema }),
  /** Its change now undoes, on the same nodes, what they had before all others. */
  z.strictObject({ ...envelope, type: z.literal('canary.end'), canary: canarySchema }),
  z.strictObject({ ...envelope, type: z.literal('node.put'), node: nodeSchema }),
  z.strictObject({ ...envelope, type: z.literal('node.delete'), name: nameSchema }),
  z.strictObject({ ...envelope, type: z.literal('network.put'), network: networkSchema }),
  z.strictObject({
    ...envelope,
    type: z.literal('certificate.put'),
    certificate: certificateEntrySchema,
  }),
  z.strictObject({ ...envelope, type: z.literal('certificate.delete'), name: nameSchema }),
  z.strictObject({ ...envelope, type: z.literal('purge'), purge: purgeOrderSchema }),
  /** Ends the bans of a purge. */
  z.strictObject({ ...envelope, type: z.literal('ban.lift'), id: z.string().min(1).max(64) }),
  z.strictObject({ ...envelope, type: z.literal('push'), push: pushChangeSchema }),
  /** Measured round trips are others: routers ask for them, for the journal does not hold them. */
  z.strictObject({ ...envelope, type: z.literal('latencies'), digest: z.string().max(64) }),
]);

/** The release that a site was last switched to. */
export const currentReleaseSchema = releaseSwitchSchema.extend({
  /** Of the event that switched to it. */
  sequence: sequenceSchema.min(1),
});

/** The whole configuration as of one sequence number: what a node runs on, and its last good config on disk. */
export const configSchema = z.strictObject({
  journal: journalIdSchema,
  sequence: sequenceSchema,
  network: networkSchema,
  sites: z.array(siteSchema),
  nodes: z.array(nodeSchema),
  /** Oldest first. */
  bans: z.array(banSchema).default([]),
  /** By site. Left out: no site has had one. */
  releases: z.record(nameSchema, currentReleaseSchema).exactOptional(),
  /** By name. */
  certificates: z.array(certificateEntrySchema).default([]),
  /** Nodes are not told: theirs is in `sites` already. */
  canary: canarySchema.exactOptional(),
});

type Distribute<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

export type SiteChange = z.output<typeof siteChangeSchema>;
export type Canary = z.output<typeof canarySchema>;
export type Network = z.output<typeof networkSchema>;
export type JournalEvent = z.output<typeof journalEventSchema>;
/** An event before the journal has given it a place and a time. */
export type JournalEntry = Distribute<JournalEvent, 'sequence' | 'at'>;
export type CurrentRelease = z.output<typeof currentReleaseSchema>;
export type Config = z.output<typeof configSchema>;
