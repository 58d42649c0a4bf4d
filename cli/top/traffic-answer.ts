import { z } from 'zod';

const value = z.number().nullable();

export const trafficSchema = z.looseObject({
  stepMs: z.number(),
  from: z.number(),
  groups: z.array(
    z.looseObject({
      name: z.string(),
      total: z.looseObject({
        requests: value,
        hits: value,
        bytesSent: value,
        errors: value,
        originRequests: value,
        p99Ms: value,
      }),
    }),
  ),
});

export type TrafficAnswer = z.output<typeof trafficSchema>;
