import { z } from 'zod';
import { nameSchema } from '../names.ts';

/** Another of the site's origins, of which objects are kept apart from those of the main one. */
export const originChoiceSchema = z.strictObject({
  /** One of `origins` of the site. */
  name: nameSchema,
  /** Where it gives no answer, or one of `upstream.failureStatuses`, GET and HEAD are answered from the main origin. */
  fallback: z.boolean().default(false),
});

export type OriginChoice = z.output<typeof originChoiceSchema>;
