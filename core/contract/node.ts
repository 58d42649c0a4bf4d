import { z } from 'zod';
import { baseUrlSchema, nameSchema } from './names.ts';
import { countrySchema } from './places.ts';
import { dnsNameSchema } from './routing.ts';

export const tierSchema = z.enum(['edge', 'mid-tier', 'origin', 'router']);

/** A point of presence. */
export const locationSchema = z.strictObject({
  name: nameSchema,
  /** Degrees, north positive. */
  latitude: z.number().min(-90).max(90),
  /** Degrees, east positive. */
  longitude: z.number().min(-180).max(180),
  /** Of an edge: whether a site that keeps to some countries or continents may use it. */
  country: countrySchema.exactOptional(),
});

/** What a node can take. Near these, routers send clients elsewhere. */
export const nodeLimitsSchema = z.strictObject({
  requestsPerSecond: z.number().positive().exactOptional(),
  megabitsPerSecond: z.number().positive().exactOptional(),
  connections: z.int().positive().exactOptional(),
});

export const nodeSchema = z.strictObject({
  name: nameSchema,
  tier: tierSchema,
  location: locationSchema,
  /** Where other nodes and clients reach it. */
  url: baseUrlSchema,
  /** Relative share of the work among nodes of the same tier. */
  capacity: z.number().positive().max(1_000_000).default(1),
  /** To be asked nothing new, by clients or other nodes, so that it can be stopped. */
  draining: z.boolean().default(false),
  /** Of a mid-tier: those of one group are one sharded cache. Of an edge: the group that it asks first. Default `default`. */
  group: nameSchema.exactOptional(),
  /** Groups asked next, in this order; those that are not named come after, nearest first. */
  fallbackGroups: z.array(nameSchema).max(16).exactOptional(),
  /** Of an edge or router: where the world finds it, for DNS answers. */
  addresses: z
    .array(z.union([z.ipv4(), z.ipv6()], { error: 'an IP address' }))
    .max(16)
    .exactOptional(),
  /** The name that stands for these addresses. */
  hostname: dnsNameSchema.exactOptional(),
  limits: nodeLimitsSchema.exactOptional(),
});

/** The group of a node that names none. */
const DEFAULT_GROUP = 'default';

export const groupOf = ({ group }: Pick<Node, 'group'>): string => group ?? DEFAULT_GROUP;

export type Tier = z.output<typeof tierSchema>;
export type NodeLimits = z.output<typeof nodeLimitsSchema>;
export type Location = z.output<typeof locationSchema>;
export type Node = z.output<typeof nodeSchema>;
export type NodeInput = z.input<typeof nodeSchema>;
