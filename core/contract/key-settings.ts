import { z } from 'zod';
import { isEverClaim } from '#core/http/client-claims.ts';
import { CONDITIONAL, HOP_BY_HOP } from '#core/http/fields.ts';

/** A query parameter's name as it stands in the URL, or with a trailing `*` all that begin so. */
const parameterSchema = z
  .string()
  .max(256)
  .regex(/^[^&=#*\s]+\*?$/, 'a parameter name as in the URL, at most with a trailing *');
const parametersSchema = z.array(parameterSchema).min(1).max(256);

/** Fields that nodes set, reduce or consume themselves, so that a key by what the client sent would lie. */
const NOT_KEYED: ReadonlySet<string> = new Set([
  ...HOP_BY_HOP,
  ...CONDITIONAL,
  'accept-encoding',
  'cdn-loop',
  'content-length',
  'cookie',
  'expect',
  'forwarded',
  'host',
  'via',
]);
const NOT_KEYED_FAMILY = /^(?:canopy-|x-forwarded-)/;

const headerSchema = z
  .string()
  .max(64)
  .regex(/^[a-z0-9!#$%&'*+.^`|~-]+$/, 'a field name in lower case')
  .refine((name) => !NOT_KEYED.has(name) && !isEverClaim(name) && !NOT_KEYED_FAMILY.test(name), {
    message: 'a field that nodes pass on as the client sent it (cookies have key.cookies)',
  });

/** RFC 6265 §4.1.1: a token. */
const cookieSchema = z
  .string()
  .max(256)
  .regex(/^[\w!#$%&'*+.^`|~-]+$/, 'a cookie name');

/** RFC 4647 §2.1: a language tag, without wildcards. */
const languageSchema = z
  .string()
  .regex(/^[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8}){0,7}$/, 'a language tag such as en or pt-BR');

/**
 * What tells the objects of a site apart. What is not part of the key is not sent upstream where
 * it could shape the answer: query parameters are left out, classes take the place of what they
 * were read from.
 */
export const keySettingsSchema = z.strictObject({
  /** Query parameters that count: all, none, only the included, or all but the excluded. */
  query: z
    .union([
      z.enum(['all', 'none']),
      z.strictObject({ include: parametersSchema }),
      z.strictObject({ exclude: parametersSchema }),
    ])
    .default('all'),
  /** Order parameters by name, those of one name as they came, for the key and upstream. */
  sortQuery: z.boolean().default(true),
  /** Request fields whose values tell objects apart. */
  headers: z.array(headerSchema).max(16).default([]),
  /** Cookies whose values tell objects apart. */
  cookies: z.array(cookieSchema).max(16).default([]),
  /** Tell phone, tablet, desktop and bot apart; `X-Device-Class` says it upstream. */
  deviceClass: z.boolean().default(false),
  /** Tell countries apart; `X-Country` says it upstream. */
  country: z.boolean().default(false),
  /** Languages that the site has, the first where no other fits; `Accept-Language` says the choice upstream. */
  language: z.array(languageSchema).max(64).default([]),
});

export type KeySettings = z.output<typeof keySettingsSchema>;
export type QuerySettings = KeySettings['query'];
