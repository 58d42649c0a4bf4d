import { z } from 'zod';

const value = z
  .string()
  .min(1)
  .max(4096)
  .regex(/^[\x20-\x7e]+$/, 'a field value');

const said = <T extends z.ZodType>(schema: T) => schema.nullable().exactOptional();

/** Fields by which a site has browsers be careful; what is left out is as the preset has it, `null` is not said. */
export const securityHeadersSchema = z.strictObject({
  /** `basic` breaks hardly a site; `strict` lets pages load from the site alone, and be framed by none. */
  preset: z.enum(['basic', 'strict']).default('basic'),
  /** In place of what the origin says; `false`: only where it says nothing. */
  override: z.boolean().default(false),
  contentSecurityPolicy: said(value),
  contentTypeOptions: said(z.literal('nosniff')),
  frameOptions: said(z.enum(['DENY', 'SAMEORIGIN'])),
  referrerPolicy: said(
    z.enum([
      'no-referrer',
      'no-referrer-when-downgrade',
      'origin',
      'origin-when-cross-origin',
      'same-origin',
      'strict-origin',
      'strict-origin-when-cross-origin',
      'unsafe-url',
    ]),
  ),
  permissionsPolicy: said(value),
  crossOriginOpenerPolicy: said(
    z.enum(['unsafe-none', 'same-origin-allow-popups', 'same-origin', 'noopener-allow-popups']),
  ),
  crossOriginEmbedderPolicy: said(z.enum(['unsafe-none', 'require-corp', 'credentialless'])),
  crossOriginResourcePolicy: said(z.enum(['same-site', 'same-origin', 'cross-origin'])),
});

export type SecurityHeadersAction = z.output<typeof securityHeadersSchema>;
