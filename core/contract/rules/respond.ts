import { z } from 'zod';
import { isTemplate, VARIABLES } from '#core/rules/template.ts';
import { secondsSchema } from '../names.ts';
import { valuesSchema } from './headers.ts';

const MAX_BODY_BYTES = 65_536;

/** Content of an answer that the edge makes, in which `${…}` stands for what is known of the request. */
export const bodySchema = (more: readonly string[] = []) =>
  z
    .string()
    .refine((text) => Buffer.byteLength(text) <= MAX_BODY_BYTES, { message: 'at most 64 KiB' })
    .refine((text) => isTemplate(text, more), {
      message: `of variables only ${[...more, VARIABLES].join(', ')}`,
    });

export const contentTypeSchema = z
  .string()
  .max(128)
  .regex(/^[\w.+-]+\/[\w.+-]+(?:; ?[\w=."-]+)*$/, 'a media type such as text/html; charset=utf-8')
  .default('text/html; charset=utf-8');

/** RFC 9110 §15.3.5, §15.3.6 and §15.4.5. */
const EMPTY: ReadonlySet<number> = new Set([204, 205, 304]);

/** An answer in place of what the site would say. */
export const respondSchema = z
  .strictObject({
    status: z.int().min(200).max(599),
    headers: valuesSchema,
    contentType: contentTypeSchema,
    body: bodySchema().default(''),
    /** `Retry-After`, RFC 9110 §10.2.3. */
    retryAfterSeconds: secondsSchema.exactOptional(),
  })
  .refine(({ status, body }) => body === '' || !EMPTY.has(status), {
    path: ['body'],
    message: 'no content under a status that has none',
  });

export type RespondAction = z.output<typeof respondSchema>;
