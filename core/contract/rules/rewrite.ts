import { z } from 'zod';
import { captureIssue, isUrlTemplate, URL_VARIABLES } from './captures.ts';
import { pathGlobSchema } from './match.ts';

const NAME = z
  .string()
  .max(256)
  .regex(/^[\w\-.~!$'()+,;:@/?%[\]]+$/, 'a parameter name as in the URL');

/** Another URL in place of the one asked for, unseen by the client. */
export const rewriteSchema = z
  .strictObject({
    /** Paths with `*` and `**` as in `match.path`, as earlier rules have left it; others stay. */
    from: pathGlobSchema.exactOptional(),
    /** The path in its place, with variables; what the wildcards of `from` stand for is `${1}`, `${2}`, … */
    to: z
      .string()
      .max(2048)
      .regex(/^[\w\-.~:/@!$&'()*+,;=%{}]*$/, 'characters of paths only, others percent-encoded')
      .regex(/^(?:\/|\$\{request\.path\})/, 'a path with / first')
      .refine(isUrlTemplate, { message: URL_VARIABLES })
      .refine((text) => !/(?:^|\/)\.{1,2}(?:\/|$)/.test(text), { message: 'no . or .. segments' })
      .refine((text) => !/\$\{request\.(?:target|query)\}/.test(text), { message: 'no query' })
      .exactOptional(),
    query: z
      .strictObject({
        /** Parameters by name; a trailing `*` stands for all that begin so. */
        remove: z
          .array(
            NAME.or(
              z
                .string()
                .max(256)
                .regex(/^[\w\-.~!$'()+,;:@/?%[\]]*\*$/),
            ),
          )
          .max(100)
          .default([]),
        /** In place of all of the name, with variables. */
        set: z
          .record(
            NAME,
            z
              .string()
              .max(2048)
              .regex(/^[\w\-.~:/?@!$'()*+,;=%{}]*$/, 'characters of queries only, but & and #')
              .refine(isUrlTemplate, { message: URL_VARIABLES }),
          )
          .default({}),
      })
      .exactOptional(),
  })
  .superRefine(({ from, to, query }, context) => {
    const refuse = (message: string, path: string[] = []): void =>
      context.addIssue({ code: 'custom', path, message });
    if (to === undefined && query === undefined) refuse('at least one of to, query');
    for (const text of [to ?? '', ...Object.values(query?.set ?? {})]) {
      const issue = captureIssue(text, from);
      if (issue !== undefined) refuse(issue, text === to ? ['to'] : ['query', 'set']);
    }
  });

export type RewriteAction = z.output<typeof rewriteSchema>;
