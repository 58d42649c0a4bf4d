import { resolve } from 'node:path';
import { z } from 'zod';
import { CanopyError } from '#core/errors.ts';
import { ADDRESS_PARTS } from '#core/telemetry/access-log/address.ts';
import { LOG_FORMATS } from '#core/telemetry/access-log/format.ts';
import type { AccessLogOptions, LogTarget } from '#core/telemetry/access-log/node-log.ts';
import type { Settings, Values } from './config.ts';
import { textOf } from './document.ts';
import { duration } from './duration.ts';
import { sizeSchema } from './size.ts';

const fraction = z
  .union([
    z.number(),
    z
      .string()
      .regex(/^\d*\.?\d+$/)
      .transform(Number),
  ])
  .refine((part) => part >= 0 && part <= 1, { message: 'a number from 0 to 1' });

const durationSchema = z.string().transform((text, context) => {
  try {
    return duration(text);
  } catch {
    context.addIssue({ code: 'custom', message: 'a time such as 45s, 30m, 12h or 90d' });
    return z.NEVER;
  }
});

/** What an edge or mid-tier is told of its access log. */
export const accessLogSettings = {
  accessLog: {
    schema: z.string().min(1).optional(),
    flag: '--access-log <where>',
    variable: 'CANOPY_ACCESS_LOG',
    description:
      'where each request is written down: a file, - (standard output), or an http:// or https:// URL; without it nowhere',
  },
  accessLogFormat: {
    schema: z.enum(LOG_FORMATS),
    flag: '--access-log-format <name>',
    variable: 'CANOPY_ACCESS_LOG_FORMAT',
    description: `of its lines: ${LOG_FORMATS.join(' or ')}`,
    default: 'json',
  },
  accessLogSample: {
    schema: fraction,
    flag: '--access-log-sample <part>',
    variable: 'CANOPY_ACCESS_LOG_SAMPLE',
    description: 'the part of the requests that is written down, 0 to 1',
    default: 1,
  },
  accessLogAddresses: {
    schema: z.enum(ADDRESS_PARTS),
    flag: '--access-log-addresses <part>',
    variable: 'CANOPY_ACCESS_LOG_ADDRESSES',
    description: `addresses of clients: whole, truncated (to /24 or /48), or none`,
    default: 'whole',
  },
  accessLogMask: {
    schema: z.array(z.string().min(1).max(256)).default([]),
    flag: '--access-log-mask <parameter...>',
    variable: 'CANOPY_ACCESS_LOG_MASK',
    description: 'query parameters whose values are not written down',
    list: true,
  },
  accessLogMaxBytes: {
    schema: z.union([z.literal(['0', 0]).transform(() => undefined), sizeSchema]),
    flag: '--access-log-max <size>',
    variable: 'CANOPY_ACCESS_LOG_MAX',
    description: 'size of a file at which the next is begun; 0: whatever its size',
    default: '100m',
  },
  accessLogMaxAgeSeconds: {
    schema: durationSchema.optional(),
    flag: '--access-log-max-age <time>',
    variable: 'CANOPY_ACCESS_LOG_MAX_AGE',
    description: 'age of a file, such as 1d, at which the next is begun',
  },
  accessLogKeep: {
    schema: z
      .union([z.int(), z.string().regex(/^\d+$/).transform(Number)])
      .refine((number) => number >= 0 && number <= 10_000, {
        message: 'a whole number from 0 to 10000',
      }),
    flag: '--access-log-keep <n>',
    variable: 'CANOPY_ACCESS_LOG_KEEP',
    description: 'files kept beside the one that is written',
    default: 7,
  },
  accessLogCompress: {
    schema: z.union([z.boolean(), z.stringbool()]).default(false),
    flag: '--access-log-compress',
    variable: 'CANOPY_ACCESS_LOG_COMPRESS',
    description: 'pack them by gzip',
  },
  accessLogBufferBytes: {
    schema: sizeSchema,
    flag: '--access-log-buffer <size>',
    variable: 'CANOPY_ACCESS_LOG_BUFFER',
    description: 'memory for lines that a URL does not take for now',
    default: '16m',
  },
  accessLogAuthorizationFile: {
    schema: z.string().min(1).optional(),
    flag: '--access-log-authorization-file <file>',
    variable: 'CANOPY_ACCESS_LOG_AUTHORIZATION_FILE',
    description: 'file that holds the value of Authorization for that URL, such as Bearer abc',
  },
} as const satisfies Settings;

type LogValues = Values<typeof accessLogSettings>;

/**
 * The access log that is wanted, if one is.
 * @throws CanopyError `invalid-input` where what was given does not go together
 */
export async function accessLogOf(values: LogValues): Promise<AccessLogOptions | undefined> {
  const { accessLog: where } = values;
  if (where === undefined) return undefined;
  return {
    to: await targetOf(where, values),
    format: values.accessLogFormat,
    sample: values.accessLogSample,
    addresses: values.accessLogAddresses,
    mask: values.accessLogMask,
  };
}

async function targetOf(where: string, values: LogValues): Promise<LogTarget> {
  if (where === STDOUT) return { kind: 'stdout' };
  if (/^https?:/i.test(where)) {
    if (!URL.canParse(where)) {
      throw new CanopyError('invalid-input', `--access-log: expected a URL, received ${where}`);
    }
    if (values.accessLogFormat !== 'json') {
      throw new CanopyError('invalid-input', '--access-log with a URL needs the format json');
    }
    const file = values.accessLogAuthorizationFile;
    const authorization = file === undefined ? undefined : (await textOf(file)).trim();
    return {
      kind: 'http',
      url: where,
      authorization,
      bufferBytes: values.accessLogBufferBytes,
    };
  }
  const seconds = values.accessLogMaxAgeSeconds;
  return {
    kind: 'file',
    path: resolve(where),
    rotation: {
      maxBytes: values.accessLogMaxBytes,
      maxAgeMs: seconds === undefined ? undefined : seconds * 1000,
      keep: values.accessLogKeep,
      compress: values.accessLogCompress,
    },
  };
}

/** Where settings and addresses are printed, too, unless lines have it to themselves. */
export const STDOUT = '-';
