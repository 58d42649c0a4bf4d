import { z } from 'zod';

/** Latency buckets of a report, the last one without an upper bound: those of `core/telemetry/latencies.ts`. */
export const LATENCY_BUCKETS = 18;

/** Sites that a report tells apart: as many as metrics do, and those two that stand for the rest. */
export const MAX_TRAFFIC_SITES = 102;

const countSchema = z.number().min(0);

/** Totals of one site on one node since the node started. */
export const siteTrafficSchema = z.strictObject({
  requests: countSchema,
  /** Answered from the cache, stale answers included. */
  hits: countSchema,
  /** Content sent to clients. */
  bytesSent: countSchema,
  hitBytes: countSchema,
  /** Answered with a status of 500 or more. */
  errors: countSchema,
  /** How many answers began within each bucket of time. */
  firstByte: z.array(countSchema).length(LATENCY_BUCKETS),
});

/** What a node has served since it started. Totals, so that a report that is lost loses nothing. */
export const trafficReportSchema = z.strictObject({
  /** Names the run of the node that the totals are of. */
  run: z.string().min(1).max(64),
  /** Nothing of this run was reported before. */
  isFirst: z.boolean(),
  /** Requests sent to parents. */
  upstreamRequests: countSchema,
  /** Those of them that were sent to origins. */
  originRequests: countSchema,
  /** By name, `_other` and `_none` as in metrics. */
  sites: z
    .record(z.string().max(64), siteTrafficSchema)
    .refine((sites) => Object.keys(sites).length <= MAX_TRAFFIC_SITES),
});

export type SiteTraffic = z.output<typeof siteTrafficSchema>;
export type TrafficReport = z.output<typeof trafficReportSchema>;
