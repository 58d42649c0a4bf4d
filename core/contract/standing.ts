import { z } from 'zod';
import { nameSchema, timestampSchema } from './names.ts';
import { ailmentSchema, loadSchema, missingCertificatesSchema } from './report.ts';

/** How a node stands, as the control plane tells routers. */
export const nodeStandingSchema = z.strictObject({
  name: nameSchema,
  /** It has reported within its lease. */
  inService: z.boolean(),
  /** Its last heartbeat; `null`: none is known. */
  last: z.strictObject({ at: timestampSchema, load: loadSchema }).nullable(),
  /** Of its last heartbeat. */
  missingCertificates: missingCertificatesSchema,
  ailments: z.array(ailmentSchema).default([]),
});

export const standingsSchema = z.strictObject({ nodes: z.array(nodeStandingSchema) });

export type NodeStanding = z.output<typeof nodeStandingSchema>;
