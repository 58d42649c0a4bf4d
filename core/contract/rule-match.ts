import { z } from 'zod';

const statusSchema = z.int().min(200).max(599);
const STATUS_RANGE = /^([2-5]\d\d)-([2-5]\d\d)$/;
const statusRangeSchema = z.string().refine(
  (text) => {
    const [, from, to] = STATUS_RANGE.exec(text) ?? [];
    return from !== undefined && to !== undefined && from <= to;
  },
  { message: 'a status, or a range such as "500-599"' },
);

/** The answers that a rule is for: those that fit all that is stated. */
export const ruleMatchSchema = z
  .strictObject({
    /** The request's path: `*` for anything within a segment, `**` as a segment for any number of them. */
    path: z
      .string()
      .max(1024)
      .regex(
        /^\/(?!.*\*\*[^/])(?!.*[^/]\*\*)[\x21-\x7e]*$/,
        'a path with / first, ** only between slashes',
      )
      .optional(),
    /** Statuses, and ranges of them as `"500-599"`. */
    status: z
      .array(z.union([statusSchema, statusRangeSchema]))
      .min(1)
      .max(100)
      .optional(),
    /** Beginnings of media types, in lower case, such as `image/` or `text/html`. */
    contentType: z
      .array(
        z
          .string()
          .min(1)
          .max(128)
          .regex(/^[^A-Z\s;]+$/, 'the beginning of a media type in lower case'),
      )
      .min(1)
      .max(100)
      .optional(),
  })
  .refine((match) => Object.keys(match).length > 0, {
    message: 'at least one of path, status, contentType',
  });

export type RuleMatch = z.output<typeof ruleMatchSchema>;
