import { z } from 'zod';
import { certifiedNameSchema } from '#core/contract/certificate.ts';
import { nameSchema, timestampSchema } from '#core/contract/names.ts';

/** The authority that the network orders certificates from (RFC 8555). */
export const authoritySchema = z.strictObject({
  directoryUrl: z.url({ protocol: /^https$/ }),
  /** Mail addresses to which the authority writes. */
  contact: z.array(z.email()).max(10).default([]),
  /** Nobody may agree in somebody's place. */
  termsOfServiceAgreed: z.literal(true, {
    error: 'true: the terms of the authority are agreed to',
  }),
  /** Authorities (PEM) that the directory's own certificate is checked by, in place of those of the system. */
  ca: z.string().max(65_536).exactOptional(),
});

/** A certificate that is to be there, and to stay. */
export const orderSchema = z
  .strictObject({
    names: z.array(certifiedNameSchema).min(1).max(100),
    site: nameSchema.nullable().default(null),
    /** `http-01` by any edge; `dns-01` by our routers, and needed for wildcards (RFC 8555 §8). */
    challenge: z.enum(['http-01', 'dns-01']).default('http-01'),
  })
  .refine(({ names, challenge }) => challenge === 'dns-01' || !names.some((n) => n[0] === '*'), {
    path: ['challenge'],
    message: 'dns-01, for there is a wildcard',
  });

export const orderStateSchema = z.strictObject({
  name: nameSchema,
  names: z.array(z.string()),
  site: nameSchema.nullable(),
  challenge: z.enum(['http-01', 'dns-01']),
  /** When it is ordered anew; after a failure: tried again. */
  dueAt: timestampSchema,
  /** Attempts in a row that have failed. */
  failures: z.int().min(0),
  /** Of the last attempt. */
  error: z.string().nullable(),
});

export type AuthoritySettings = z.output<typeof authoritySchema>;
export type Order = z.output<typeof orderSchema>;
export type OrderState = z.output<typeof orderStateSchema>;

/** As it is kept. */
export interface Account extends AuthoritySettings {
  /** PEM, in no answer. */
  readonly accountKey: string;
}

export interface OrderRecord extends OrderState {
  /** Until when one control plane is at work on it, ms since the Unix epoch. */
  readonly busyUntil: number;
}
