import { z } from 'zod';
import { nameSchema, timestampSchema } from './names.ts';

/** A certificate's name as TLS compares it: a hostname in lower case, or `*.` before one for one label. */
export const certifiedNameSchema = z
  .string()
  .max(255)
  .regex(
    /^(?:\*\.)?[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*$/,
    'a hostname in lower case, or *.hostname',
  );

/** SHA-256 of the leaf, in hexadecimal. */
const fingerprintSchema = z.string().regex(/^[0-9a-f]{64}$/, 'a SHA-256 in hexadecimal');

/** What every node is told of a certificate; edges ask for the rest when they need it. */
export const certificateEntrySchema = z.strictObject({
  name: nameSchema,
  /** The only site that it is presented for. `null`: whatever site a name of it leads to. */
  site: nameSchema.nullable(),
  names: z.array(certifiedNameSchema).min(1).max(1000),
  /** ms since the Unix epoch. */
  notAfter: timestampSchema,
  fingerprint: fingerprintSchema,
});

/** All that an edge needs to present a certificate. */
export const certificateMaterialSchema = z.strictObject({
  name: nameSchema,
  fingerprint: fingerprintSchema,
  /** PEM: the certificate, then those between it and its authority. */
  chain: z.string().min(1),
  /** PEM, PKCS #8. */
  key: z.string().min(1),
});

/** What an authority asks any edge for, to see that a name is ours (RFC 8555 §8.3). */
export const challengeSchema = z.strictObject({
  token: z.string().regex(/^[A-Za-z0-9_-]{1,256}$/, 'a token of RFC 8555 §8.3'),
  keyAuthorization: z.string().min(1).max(1024),
});

export type CertificateEntry = z.output<typeof certificateEntrySchema>;
export type CertificateMaterial = z.output<typeof certificateMaterialSchema>;
export type Challenge = z.output<typeof challengeSchema>;
