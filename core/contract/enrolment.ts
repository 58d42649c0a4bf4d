import { z } from 'zod';
import { nodeSchema } from './node.ts';

/** What a node asks for with its one-time token: that its own credential, of which it tells the SHA-256, be taken from now on. */
export const enrolmentExchangeSchema = z
  .strictObject({ digest: z.string().regex(/^[0-9a-f]{64}$/, 'a SHA-256 in hexadecimal') })
  .meta({ title: 'enrolment' });

/** The node that it is now. */
export const enrolledSchema = z.strictObject({ node: nodeSchema });

/** `NAME.SECRET`: the name tells the node who it is. */
export const enrolmentTokenSchema = z
  .string()
  .regex(/^[a-z0-9-]{1,63}\.[\w-]{20,}$/, 'a token that `canopy nodes enrol` gave');

export const nodeOfEnrolment = (token: string): string => token.split('.', 1)[0] ?? '';
