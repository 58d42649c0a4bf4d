import { z } from 'zod';
import { nameSchema, sequenceSchema } from './names.ts';

/** What one purge hit on one node. */
export const purgeReportSchema = z.strictObject({
  sequence: sequenceSchema,
  /** Stored objects it removed or made stale; of a site, all that it has. `null`: named by prefix, host or tag, which is not searched for. */
  objects: z.int().min(0).nullable(),
  bytes: z.int().min(0).nullable(),
  /** Fills under way whose content may no longer be stored. */
  fills: z.int().min(0),
});

/** "I cannot apply the event of this sequence, and keep what I had before." */
export const refusalSchema = z.strictObject({
  sequence: sequenceSchema,
  reason: z.string().max(1_000),
});

const refusalsSchema = z.array(refusalSchema).max(100).default([]);

/** "Every event up to `fence` is applied in all my threads, or refused." */
export const acknowledgementSchema = z.strictObject({
  fence: sequenceSchema,
  purges: z.array(purgeReportSchema).max(10_000).default([]),
  /** All that still hold. */
  refusals: refusalsSchema,
});

/** Totals since the node started, and what it has now. A node of an older version leaves out what has a default. */
export const loadSchema = z.strictObject({
  requests: z.int().min(0),
  /** Answered from the cache, stale answers included. */
  hits: z.int().min(0),
  /** Body bytes of these. */
  hitBytes: z.int().min(0).default(0),
  /** Requests sent to parents. */
  upstreamRequests: z.int().min(0),
  /** Body bytes sent to clients. */
  bytesSent: z.int().min(0),
  objects: z.int().min(0),
  storedBytes: z.int().min(0),
  /** Open now, tunnels among them. */
  connections: z.int().min(0).default(0),
  /** Connections that have left HTTP, open now. */
  tunnels: z.int().min(0).default(0),
});

/** A parent that the node does not ask as it would one that is well. */
export const parentReportSchema = z.strictObject({
  /** A node's name, or a server's URL. */
  name: z.string().max(2048),
  /** `open`: not asked while another is left; `half-open`: tried by one request at a time. */
  standing: z.enum(['open', 'half-open']),
});

/** Parents that a heartbeat tells of; of more it tells the first. */
export const MAX_PARENT_REPORTS = 1000;

/** Certificates that a heartbeat tells of; of more it tells the first. */
export const MAX_MISSING_CERTIFICATES = 100;

/** Names of certificates that clients have asked for, and that the node could not get; it goes on trying. */
export const missingCertificatesSchema = z
  .array(nameSchema)
  .max(MAX_MISSING_CERTIFICATES)
  .default([]);

/** What a node that serves is unwell with, in the words of `/healthz`. */
export const ailmentSchema = z.enum(['disk-failing', 'thread-silent']);

export const heartbeatSchema = z.strictObject({
  fence: sequenceSchema,
  pid: z.int().min(1),
  /** Version of the Canopy package that the node runs. */
  version: z.string().max(64),
  load: loadSchema,
  /** The node's own view; each node decides for itself whom it asks. */
  parents: z.array(parentReportSchema).max(MAX_PARENT_REPORTS).default([]),
  /** All that still hold. */
  refusals: refusalsSchema,
  missingCertificates: missingCertificatesSchema,
  ailments: z.array(ailmentSchema).max(ailmentSchema.options.length).default([]),
  /** The kinds of questions that the node answers, see `ANSWERS`. */
  answers: z.array(z.string().max(64)).max(100).default([]),
});

/** The control plane's answer to a heartbeat: the node is in service for so long, reckoned by the node from when it sent it. */
export const leaseSchema = z.strictObject({ leaseMs: z.int().min(1) });

export type PurgeReport = z.output<typeof purgeReportSchema>;
export type Refusal = z.output<typeof refusalSchema>;
export type Acknowledgement = z.output<typeof acknowledgementSchema>;
export type Load = z.output<typeof loadSchema>;
export type ParentReport = z.output<typeof parentReportSchema>;
export type Heartbeat = z.output<typeof heartbeatSchema>;
export type Ailment = z.output<typeof ailmentSchema>;
export type Lease = z.output<typeof leaseSchema>;

/** The sum of two counts of which either may not have been counted. */
export const addCounts = (a: number | null, b: number | null): number | null =>
  a === null || b === null ? null : a + b;
