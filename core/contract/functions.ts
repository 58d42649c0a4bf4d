import { z } from 'zod';

const MIB = 1024 * 1024;

/** A customer's program that edges ask about requests and answers. */
export const functionSchema = z.strictObject({
  /** A JavaScript module that exports `onRequest`, `onResponse` or both. */
  source: z
    .string()
    .min(1)
    .max(256 * 1024),
  /** Processor time of one call. */
  maxCpuMs: z.int().min(1).max(500).default(20),
  /** Its interpreter and all that it holds, in each thread that runs it. */
  maxMemoryBytes: z
    .int()
    .min(16 * MIB)
    .max(256 * MIB)
    .default(32 * MIB),
  /** When it fails: `open` goes on as if there were none, `closed` answers 500. */
  onFailure: z.enum(['open', 'closed']).default('open'),
});

export type FunctionSettings = z.output<typeof functionSchema>;
