import { z } from 'zod';

/** How long the answer may be held back for what is asked about to end. */
export const waitQuerySchema = z.strictObject({
  waitMs: z.coerce.number().int().min(0).max(60_000).default(0),
});
