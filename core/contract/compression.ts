import { z } from 'zod';
import { CODINGS } from '#core/http/content-coding.ts';

const mediaTypeSchema = z
  .string()
  .max(128)
  .regex(
    /^[a-z0-9!#$&^_.+-]+\/(?:[a-z0-9!#$&^_.+-]+|\*)$/,
    'a media type in lower case, or type/*',
  );

/** Media types that shrink, and are not compressed already. */
export const COMPRESSIBLE_TYPES = [
  'text/*',
  'application/atom+xml',
  'application/geo+json',
  'application/javascript',
  'application/json',
  'application/ld+json',
  'application/manifest+json',
  'application/problem+json',
  'application/rss+xml',
  'application/vnd.api+json',
  'application/vnd.apple.mpegurl',
  'application/vnd.ms-fontobject',
  'application/wasm',
  'application/x-javascript',
  'application/xhtml+xml',
  'application/xml',
  'font/collection',
  'font/otf',
  'font/ttf',
  'image/bmp',
  'image/svg+xml',
  'image/vnd.microsoft.icon',
  'image/x-icon',
] as const;

const levelsSchema = (br: number, zstd: number, gzip: number) =>
  z
    .strictObject({
      br: z.int().min(0).max(11).default(br),
      zstd: z.int().min(1).max(19).default(zstd),
      gzip: z.int().min(1).max(9).default(gzip),
    })
    .prefault({});

/** What edges compress for clients, and how much work they put into it. */
export const compressionSettingsSchema = z.strictObject({
  /** Compress what clients take compressed, and unpack for those that do not what the origin has compressed. */
  enabled: z.boolean().default(false),
  /** Codings that may be sent, the preferred first among those that a client takes equally well. */
  codings: z
    .array(z.enum(CODINGS))
    .min(1)
    .max(3)
    .refine((codings) => new Set(codings).size === codings.length, { message: 'each coding once' })
    .default([...CODINGS]),
  /** Media types that are compressed; `text/*` for all of a kind. Event streams never are. */
  types: z
    .array(mediaTypeSchema)
    .max(200)
    .default([...COMPRESSIBLE_TYPES]),
  /** What has a length and less of it is sent as it is. */
  minBytes: z.int().min(0).default(1024),
  /** What has a length and more of it is sent as it is. */
  maxBytes: z
    .int()
    .min(0)
    .max(64 * 1024 * 1024)
    .default(8 * 1024 * 1024),
  /** Compress what is not stored, too. Off where such pages hold secrets beside what a request put there (BREACH). */
  unstored: z.boolean().default(true),
  /** How hard it tries on what passes by, per coding. */
  passingLevels: levelsSchema(4, 3, 4),
  /** How hard it tries on what is stored compressed, once for all who ask. */
  storedLevels: levelsSchema(7, 9, 6),
});

export type CompressionSettings = z.output<typeof compressionSettingsSchema>;
