import { z } from 'zod';
import { hostPatternSchema, secondsSchema } from '../names.ts';
import { countrySchema, networkSchema } from '../places.ts';

const statusSchema = z.int().min(200).max(599);
const STATUS_RANGE = /^([2-5]\d\d)-([2-5]\d\d)$/;
const statusRangeSchema = z.string().refine(
  (text) => {
    const [, from, to] = STATUS_RANGE.exec(text) ?? [];
    return from !== undefined && to !== undefined && from <= to;
  },
  { message: 'a status, or a range such as "500-599"' },
);

/** `*` for anything within a segment, `**` as a segment for any number of them. */
export const pathGlobSchema = z
  .string()
  .max(1024)
  .regex(
    /^\/(?!.*\*\*[^/])(?!.*[^/]\*\*)[\x21-\x7e]*$/,
    'a path with / first, ** only between slashes',
  );

const list = <T extends z.ZodType>(item: T, most = 1000) =>
  z.array(item).min(1).max(most).exactOptional();

/** A text in which `*` stands for anything. */
const patternSchema = z.string().max(256);

/** Whether it is there, or what its value has to be like. */
const valueSchema = z.union([z.boolean(), patternSchema, z.array(patternSchema).min(1).max(100)], {
  error: 'true, false, a pattern or a list of patterns',
});

const named = (name: RegExp, expected: string) =>
  z
    .record(z.string().max(256).regex(name, expected), valueSchema)
    .refine((values) => Object.keys(values).length > 0, { message: 'at least one name' })
    .exactOptional();

/** RFC 9110 §5.6.2: a token, without capitals. */
export const FIELD_NAME = /^[a-z0-9!#$%&'*+.^_`|~-]+$/;
/** RFC 9110 §5.6.2: a token. */
export const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/;

/** Conditions on what a client asks; `path` and those below are known at every tier. */
const conditionsShape = {
  method: list(
    z
      .string()
      .max(32)
      .regex(/^[A-Z]+$/, 'a method in capitals'),
    20,
  ),
  scheme: z.enum(['http', 'https']).exactOptional(),
  host: list(hostPatternSchema),
  /** Parameters of the query by their names as in the URL; values as in the URL. */
  query: named(/^[^&=#\s]+$/, 'a parameter name as in the URL'),
  /** Request fields; letter case of values does not count. */
  headers: named(FIELD_NAME, 'a field name in lower case'),
  cookies: named(TOKEN, 'a cookie name'),
  /** Networks of the client. */
  address: list(networkSchema, 10_000),
  /** Countries of the client; `ZZ`: unknown. */
  country: list(countrySchema, 250),
  /** Autonomous systems of the client, where the node has a database of them. */
  asn: list(z.int().min(1).max(4_294_967_295), 10_000),
  deviceClass: list(z.enum(['phone', 'tablet', 'desktop', 'bot']), 4),
  /** A part of the clients, always the same ones for the same `seed`. */
  sample: z
    .strictObject({
      fraction: z.number().min(0).max(1),
      /** What a client is known by; where it lacks the cookie, its address. */
      by: z
        .union(
          [
            z.literal('address'),
            z.strictObject({
              cookie: z.string().max(256).regex(TOKEN),
              /** Have clients without the cookie keep one of their own for so long. */
              setForSeconds: secondsSchema.exactOptional(),
            }),
          ],
          {
            error: '"address" or { cookie: NAME }',
          },
        )
        .default('address'),
      seed: z.string().max(64).default(''),
    })
    .exactOptional(),
  /** The request's path, any of several. */
  path: z.union([pathGlobSchema, z.array(pathGlobSchema).min(1).max(1000)]).exactOptional(),
  /** Statuses of the answer, and ranges of them as `"500-599"`. */
  status: list(z.union([statusSchema, statusRangeSchema]), 100),
  /** Beginnings of the answer's media type, in lower case, such as `image/` or `text/html`. */
  contentType: list(
    z
      .string()
      .min(1)
      .max(128)
      .regex(/^[^A-Z\s;]+$/, 'the beginning of a media type in lower case'),
    100,
  ),
};

const isStated = (conditions: object): boolean => Object.keys(conditions).length > 0;
const STATED = { message: 'at least one condition' };
const conditionsSchema = z.strictObject(conditionsShape).refine(isStated, STATED);

/** What a rule is for: it fits where all that is stated fits, and `not` does not. */
export const matchSchema = z
  .strictObject({ ...conditionsShape, not: conditionsSchema.exactOptional() })
  .refine(isStated, STATED);

export type Conditions = z.output<typeof conditionsSchema>;
export type Match = z.output<typeof matchSchema>;
export type ValueCondition = z.output<typeof valueSchema>;
export type SampleCondition = NonNullable<Conditions['sample']>;

/** What is known of an answer only. */
export const ANSWER_CONDITIONS = ['status', 'contentType'] as const;
/** What every tier knows alike of an object. */
export const OBJECT_CONDITIONS = ['path', ...ANSWER_CONDITIONS] as const;
