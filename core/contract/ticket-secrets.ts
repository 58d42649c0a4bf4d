import { z } from 'zod';
import { timestampSchema } from './names.ts';

/** What all edges seal session tickets with from a time on, so that a client resumes at any of them. */
export const ticketSecretSchema = z.strictObject({
  secret: z.string().min(16),
  /** ms since the Unix epoch. */
  from: timestampSchema,
});

/** Oldest first. */
export const ticketSecretsSchema = z.strictObject({ secrets: z.array(ticketSecretSchema).min(1) });

export type TicketSecret = z.output<typeof ticketSecretSchema>;
