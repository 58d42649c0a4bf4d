import { z } from 'zod';
import { hostPatternSchema, nameSchema } from '../names.ts';
import { FIELD_NAME, TOKEN } from './match.ts';

const cookieNameSchema = z.string().min(1).max(64).regex(TOKEN, 'a cookie name');
/** A name that may stand in a query as it is. */
const parameterNameSchema = z
  .string()
  .min(1)
  .max(64)
  .regex(/^[\w.~-]+$/, 'a parameter name of letters, digits and . _ ~ -');

const TRAITS = ['address', 'token', 'host', 'path', 'site'] as const;
const BY = {
  error: `one of ${TRAITS.join(', ')}, { ipv4: BITS, ipv6: BITS }, { header: NAME }, { cookie: NAME }, or a list of them`,
};
const traitShape = [
  z.enum(TRAITS),
  z.strictObject({ ipv4: z.int().min(0).max(32), ipv6: z.int().min(0).max(128) }),
  z.strictObject({ header: z.string().max(128).regex(FIELD_NAME, 'a name in lower case') }),
  z.strictObject({ cookie: cookieNameSchema }),
] as const;
const traitSchema = z.union(traitShape, BY);
/** By what those whom a limit is for are told apart: all of a list together. */
const bySchema = z
  .union([...traitShape, z.array(traitSchema).min(1).max(4)], BY)
  .default('address');

/** Only pages of these hosts, and of the site's own, may embed what they ask for. */
export const hotlinkSchema = z.strictObject({
  allow: z.array(hostPatternSchema).max(1000).default([]),
  /** Requests that do not tell the page that they come from. */
  allowEmpty: z.boolean().default(true),
});

/** At most so many requests in any time of that length. */
export const rateLimitSchema = z.strictObject({
  /** As `RateLimit` fields call it. */
  name: nameSchema.default('default'),
  requests: z.int().min(1).max(1_000_000_000),
  windowSeconds: z.int().min(1).max(86_400),
  by: bySchema,
  /** Counted by each edge, or by all together where they have a Redis. */
  scope: z.enum(['node', 'network']).default('node'),
  /** Tell in answers how much is left. */
  announce: z.boolean().default(false),
});

/** At most so many requests of a client under way at one edge. */
export const concurrencySchema = z.strictObject({
  requests: z.int().min(1).max(1_000_000),
  by: bySchema,
});

/** Who has asked for so many different things that are not there is not asked for upstream any more. */
export const negativeLookupsSchema = z.strictObject({
  distinct: z.int().min(1).max(10_000),
  windowSeconds: z.int().min(1).max(86_400).default(60),
  by: bySchema,
  /** For how long all of its requests are refused. */
  banSeconds: z.int().min(1).max(86_400).default(60),
});

/** Only URLs that were signed by one of the site's `signingKeys`. */
export const requireSignatureSchema = z.strictObject({
  in: z.enum(['query', 'cookie', 'either']).default('either'),
  /** Of the parameter and the cookie. */
  name: parameterNameSchema.default('canopy-signature'),
  /** By which keys; left out: by any. */
  keys: z.array(z.string().min(1).max(64)).min(1).max(100).exactOptional(),
  /** By how much the clocks of signer and edge may differ. */
  clockSkewSeconds: z.int().min(0).max(3600).default(10),
});

export const TOKEN_ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'HS256',
  'HS384',
  'HS512',
] as const;

const isJwksUrl = (text: string): boolean => {
  if (!URL.canParse(text)) return false;
  const { protocol, username, password } = new URL(text);
  return (protocol === 'https:' || protocol === 'http:') && username === '' && password === '';
};

const claimSchema = z.union([z.string(), z.number(), z.boolean()]);

/** Only requests with a JWT (RFC 7519) that somebody trusted has issued. */
export const requireTokenSchema = z
  .strictObject({
    issuer: z.string().min(1).max(1024).exactOptional(),
    /** One of them has to be the token's. */
    audience: z.array(z.string().min(1).max(1024)).min(1).max(100).exactOptional(),
    /** Where the issuer's keys are (RFC 7517 §5). */
    jwks: z
      .string()
      .max(2048)
      .refine(isJwksUrl, 'an http:// or https:// URL without credentials')
      .exactOptional(),
    /** Public keys as JWK (RFC 7517 §4). */
    keys: z
      .array(
        z
          .record(z.string(), z.unknown())
          .refine(
            ({ kty, d, k }) => typeof kty === 'string' && d === undefined && k === undefined,
            {
              message: 'a public key as JWK',
            },
          ),
      )
      .min(1)
      .max(100)
      .exactOptional(),
    /** Those with HS need a shared secret: the key of `signingKeys` that the token's `kid` names. */
    algorithms: z.array(z.enum(TOKEN_ALGORITHMS)).min(1).default(['RS256', 'ES256', 'EdDSA']),
    /** `header`: `Authorization: Bearer` (RFC 6750 §2.1). */
    from: z
      .union(
        [
          z.literal('header'),
          z.strictObject({ cookie: cookieNameSchema }),
          z.strictObject({ query: parameterNameSchema }),
        ],
        { error: '"header", { cookie: NAME } or { query: NAME }' },
      )
      .default('header'),
    /** Claims with the value they have to have, or that a list has to contain. */
    claims: z.record(z.string().max(256), claimSchema).default({}),
    /** Of `scope` (RFC 8693 §4.2), all of them. */
    scopes: z.array(z.string().min(1).max(256)).max(100).default([]),
    clockSkewSeconds: z.int().min(0).max(3600).default(10),
    /** Leave the token in the request, for the origin; the answer is that of one client then. */
    forward: z.boolean().default(false),
  })
  .refine(
    ({ jwks, keys, algorithms }) =>
      jwks !== undefined || keys !== undefined || algorithms.every((one) => one.startsWith('HS')),
    { message: 'jwks or keys, for algorithms with public keys' },
  );

/** What refuses requests before the cache is looked at. */
export const guardActionsShape = {
  hotlink: hotlinkSchema.exactOptional(),
  rateLimit: rateLimitSchema.exactOptional(),
  concurrency: concurrencySchema.exactOptional(),
  negativeLookups: negativeLookupsSchema.exactOptional(),
  requireSignature: requireSignatureSchema.exactOptional(),
  requireToken: requireTokenSchema.exactOptional(),
};

/** A secret that a site shares with whoever signs URLs, or issues tokens. */
export const signingKeySchema = z.strictObject({
  id: z
    .string()
    .min(1)
    .max(64)
    .regex(/^[\w.-]+$/, 'letters, digits and . _ -'),
  /** Its octets in UTF-8 are the key of HMAC. */
  secret: z.string().min(16).max(1024),
});

export type Hotlink = z.output<typeof hotlinkSchema>;
export type Trait = z.output<typeof traitSchema>;
export type RateLimit = z.output<typeof rateLimitSchema>;
export type Concurrency = z.output<typeof concurrencySchema>;
export type NegativeLookups = z.output<typeof negativeLookupsSchema>;
export type RequireSignature = z.output<typeof requireSignatureSchema>;
export type RequireToken = z.output<typeof requireTokenSchema>;
export type SigningKey = z.output<typeof signingKeySchema>;
