import { z } from 'zod';
import { nameSchema, timestampSchema } from '#core/contract/names.ts';
import { type Scope, scopeSchema } from './scopes.ts';

export interface TokenRecord {
  readonly name: string;
  /** SHA-256 of the secret, which itself is never stored. */
  readonly digest: Uint8Array;
  readonly scopes: readonly Scope[];
  /** Sites it is limited to; `null`: the whole network. */
  readonly sites: readonly string[] | null;
  /** Milliseconds since the Unix epoch, as all times here. */
  readonly createdAt: number;
  /** From when on it is refused; `null`: never. */
  readonly expiresAt: number | null;
  /** The secret that the last rotation replaced, and until when it is taken still. */
  readonly previous: { readonly digest: Uint8Array; readonly until: number } | null;
}

export const digestSchema = z
  .string()
  .regex(/^(?:[0-9a-f]{2})+$/)
  .transform((text) => new Uint8Array(Buffer.from(text, 'hex')));

/** As it is written down; what a token had not in an earlier version has a default. */
export const storedTokenSchema = z.strictObject({
  name: nameSchema,
  digest: digestSchema,
  scopes: z.array(scopeSchema),
  sites: z.array(nameSchema).nullable(),
  createdAt: timestampSchema,
  expiresAt: timestampSchema.nullable().default(null),
  previous: z
    .strictObject({ digest: digestSchema, until: timestampSchema })
    .nullable()
    .default(null),
});

export const hexOf = (digest: Uint8Array): string => Buffer.from(digest).toString('hex');

/** A token as JSON can hold it. */
export const writtenToken = ({ digest, previous, ...token }: TokenRecord): object => ({
  ...token,
  digest: hexOf(digest),
  previous: previous && { ...previous, digest: hexOf(previous.digest) },
});

/** @param digest of a token that was written by an earlier version, which kept it beside the text */
export const readToken = (text: string, digest: Uint8Array): TokenRecord =>
  storedTokenSchema.parse({ digest: hexOf(digest), ...(JSON.parse(text) as object) });
