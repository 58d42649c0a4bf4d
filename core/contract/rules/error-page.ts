import { z } from 'zod';
import { bodySchema, contentTypeSchema } from './respond.ts';

/** Variables that tell of the error: `error.code` is empty where the origin has made it. */
export const ERROR_VARIABLES = ['error.status', 'error.code', 'error.title'];

/** What people see in place of an error, under its status. Programs that ask for JSON get the error as it is. */
export const errorPageSchema = z
  .strictObject({
    /** Fetched and cached like any other URL of the host; should be 200. */
    path: z
      .string()
      .max(2048)
      .regex(/^\/[\x21\x22\x24-\x7e]*$/, 'a path with / first')
      .exactOptional(),
    /** The content, or what is said where `path` cannot be had, with variables. */
    body: bodySchema(ERROR_VARIABLES).exactOptional(),
    /** Of `body`. */
    contentType: contentTypeSchema,
    /** Of errors that the origin has answered, too; else only of those that the edge makes. */
    fromOrigin: z.boolean().default(false),
  })
  .refine(({ path, body }) => path !== undefined || body !== undefined, {
    message: 'at least one of path, body',
  });

export type ErrorPageAction = z.output<typeof errorPageSchema>;
