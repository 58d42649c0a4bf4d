import { z } from 'zod';
import { nameSchema } from './names.ts';
import { countrySchema, networkSchema } from './places.ts';

const roundTripSchema = z.number().positive().max(10_000);

/** One round trip between a client's network and an edge, as the edge has seen it. */
export const observationSchema = z.strictObject({
  /** Whose clients are taken to be in one place: a /24 of IPv4, a /48 of IPv6. */
  network: networkSchema,
  /** As far as the router's databases know. */
  asn: z.int().min(1).max(4_294_967_295).exactOptional(),
  country: countrySchema.exactOptional(),
  edge: nameSchema,
  roundTripMs: roundTripSchema,
});

/** Observations in one report. */
export const MAX_OBSERVATIONS = 5_000;

/** What a router has gathered since its last report. */
export const latencyReportSchema = z
  .strictObject({ observations: z.array(observationSchema).min(1).max(MAX_OBSERVATIONS) })
  .meta({ title: 'latency report' });

/** Round trips between some clients and the edges that they have been measured to. */
export const latencyEntrySchema = z.strictObject({
  /** The nearest that is known counts: the network, else its ASN, else its country. */
  level: z.enum(['network', 'asn', 'country']),
  /** `192.0.2.0/24`, `64500` or `NO`. */
  of: z.string().max(64),
  edges: z.array(
    z.strictObject({
      edge: nameSchema,
      roundTripMs: roundTripSchema,
      /** Of a network: observations, each counting less as it ages. Of others: networks that agree. */
      samples: z.number().min(0),
    }),
  ),
});

/** All that has been measured often enough to go by, as routers are told. */
export const latencyMapSchema = z.strictObject({
  /** Of the round trips: the same as long as they are the same. */
  digest: z.string().max(64),
  entries: z.array(latencyEntrySchema),
});

export const EMPTY_LATENCY_MAP: LatencyMapContent = { digest: '', entries: [] };

export type Observation = z.output<typeof observationSchema>;
export type LatencyEntry = z.output<typeof latencyEntrySchema>;
export type LatencyMapContent = z.output<typeof latencyMapSchema>;
