import { z } from 'zod';
import type { ClientAsked } from '#core/contract/explain.ts';
import { nameSchema } from '#core/contract/names.ts';
import { CanopyError } from '#core/errors.ts';

const TOKEN = /^[!#$%&'*+.^_`|~0-9a-z-]+$/i;

export const urlSchema = z.string().max(16_384).refine(isHttpUrl, {
  message: 'an http:// or https:// URL without credentials',
});
const methodSchema = z.string().regex(TOKEN, 'a method').max(32).default('GET');
const addressSchema = z.union([z.ipv4(), z.ipv6()], { error: 'an IP address' });

const shape = {
  url: urlSchema,
  method: methodSchema,
  /** Where the request would come from; by default where the question does. */
  client: addressSchema.optional(),
  /** An edge of this location; the name of it, or of a node's `location`. */
  location: z.string().min(1).max(64).optional(),
  /** This edge. */
  node: nameSchema.optional(),
};

const headerSchema = z
  .string()
  .max(16_384)
  .regex(/^[!#$%&'*+.^_`|~0-9a-z-]+:[^\r\n\0]*$/i, 'a header such as "Accept-Language: de"');

/** `header` may be repeated. */
export const explainQuerySchema = z.strictObject({
  ...shape,
  header: z
    .union([headerSchema.transform((one) => [one]), z.array(headerSchema).max(100)])
    .default([]),
});

export const explainBodySchema = z
  .strictObject({ ...shape, headers: z.array(headerSchema).max(100).default([]) })
  .meta({ title: 'question' });

/** A request to explain, however it came. */
export type ExplainRequest = z.output<typeof explainBodySchema>;

function isHttpUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, username, password } = new URL(text);
  return /^https?:$/.test(protocol) && username === '' && password === '';
}

/** What a client would send for a URL: its path and query as they stand there, as curl does. */
export function askedOf({ url, method, headers }: ExplainRequest, address: string): ClientAsked {
  const [, scheme = '', authority = '', target = ''] =
    /^(https?):\/\/([^/?#]*)([^#]*)/i.exec(url.trim()) ?? [];
  const fields = headers.flatMap((line) => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon), line.slice(colon + 1).trim()];
  });
  if (authority === '') throw new CanopyError('invalid-input', `${url} has no host`);
  return {
    as: 'client',
    method,
    scheme: scheme.toLowerCase() === 'https' ? 'https' : 'http',
    authority,
    target: target.startsWith('/') ? target : `/${target}`,
    fields,
    address,
  };
}
