import { z } from 'zod';

/** Fields that are ours to set, or that frame the message (RFC 9110 §7.6.1). */
const RESERVED =
  /^(?:host|connection|content-length|transfer-encoding|te|trailer|upgrade|keep-alive|proxy-.*|expect|canopy-.*)$/i;

const hostnameSchema = z
  .string()
  .max(255)
  .regex(/^[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?$/, 'a lower-case hostname');

/** How a site's own origin servers are talked to. */
export const originConnectionShape = {
  /** The `Host` that servers see: their own, the one the client asked for, or always this one. */
  hostHeader: z.union([z.enum(['origin', 'client']), hostnameSchema]).default('origin'),
  /** Of `https:` servers. */
  tls: z
    .strictObject({
      /** Refuse a server whose certificate is not valid for its name. */
      verify: z.boolean().default(true),
      /** Certificates of the authorities that are trusted, PEM, in place of the public ones. */
      ca: z.string().max(262_144).startsWith('-----BEGIN CERTIFICATE-----').exactOptional(),
      /** The name that the certificate is to be for, and that is asked for by SNI; else the server's own. */
      serverName: hostnameSchema.exactOptional(),
    })
    .prefault({}),
  /** Speak HTTP/2 with `https:` servers that offer it. */
  http2: z.boolean().default(false),
  /** Added to every request, in place of what the client sent under the same names. */
  requestFields: z
    .record(
      z
        .string()
        .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/, 'a field name')
        .refine((name) => !RESERVED.test(name), { message: 'a field that may be set' }),
      z.string().regex(/^[\x21-\x7e](?:[\x20-\x7e\t]{0,4096}[\x21-\x7e])?$/, 'a field value'),
    )
    .refine((fields) => Object.keys(fields).length <= 32, { message: 'at most 32 fields' })
    .default({}),
  /** Sign every request by RFC 9421, so that servers know what comes through this network. */
  signing: z
    .strictObject({
      /** `keyid` of the signature. */
      keyId: z.string().regex(/^[A-Za-z0-9._-]{1,64}$/, 'letters, digits, `.`, `_` and `-`'),
      /** Of HMAC-SHA-256. */
      secret: z.string().min(16).max(1024),
    })
    .exactOptional(),
  /** Redirects that are gone to in the client's place, for GET and HEAD. */
  redirects: z
    .strictObject({
      /** In a row; 0: the client is told of each. */
      max: z.int().min(0).max(10).default(0),
      /** Where to, besides the server itself; `*.` before a name for all its subdomains. */
      hosts: z
        .array(
          z.string().regex(/^(?:\*\.)?[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?$/, 'a lower-case hostname'),
        )
        .max(100)
        .default([]),
    })
    .prefault({}),
};
