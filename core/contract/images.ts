import { z } from 'zod';

/** Formats that images are made in. */
export const IMAGE_FORMATS = ['avif', 'webp', 'jpeg', 'png', 'gif'] as const;

/** How an image fills a width and a height that are both given; the words of CSS `object-fit`, and sharp's. */
export const IMAGE_FITS = ['cover', 'contain', 'inside', 'outside', 'fill'] as const;

const qualitySchema = z.int().min(1).max(100);
const edgeSchema = z.int().min(1).max(16_384);

export const imagePresetSchema = z.strictObject({
  w: edgeSchema.exactOptional(),
  h: edgeSchema.exactOptional(),
  fit: z.enum(IMAGE_FITS).exactOptional(),
  q: qualitySchema.exactOptional(),
  format: z.enum([...IMAGE_FORMATS, 'auto']).exactOptional(),
});

/** Images that edges make of a site's images, by query parameters of their URLs. */
export const imageSettingsSchema = z.strictObject({
  /** Read `w`, `h`, `dpr`, `fit`, `q`, `format` and `preset` in the query of URLs whose path ends as that of an image. */
  enabled: z.boolean().default(false),
  /** Sets of parameters by name, for `preset=NAME`; parameters beside it win. */
  presets: z
    .record(z.string().regex(/^[a-z0-9-]{1,64}$/, 'a-z, 0-9 and -'), imagePresetSchema)
    .refine((presets) => Object.keys(presets).length <= 100, { message: 'at most 100 presets' })
    .default({}),
  /** Refuse parameters other than `preset`. */
  presetsOnly: z.boolean().default(false),
  /** Widths and heights that may be asked for, before `dpr`; empty: any. */
  sizes: z.array(edgeSchema).max(100).default([]),
  /** The largest width or height of what is made, `dpr` included. */
  maxEdge: edgeSchema.default(4096),
  /** Formats that may be made. */
  formats: z
    .array(z.enum(IMAGE_FORMATS))
    .min(1)
    .default([...IMAGE_FORMATS]),
  /** Where neither request nor preset says. */
  quality: z
    .strictObject({
      avif: qualitySchema.default(50),
      webp: qualitySchema.default(75),
      jpeg: qualitySchema.default(80),
    })
    .prefault({}),
  /** Larger images are sent as they are. */
  maxSourceBytes: z
    .int()
    .min(1)
    .max(128 * 1024 * 1024)
    .default(16 * 1024 * 1024),
  /** Images of more, all frames counted, are sent as they are. */
  maxSourcePixels: z.int().min(1).max(500_000_000).default(50_000_000),
});

export type ImageSettings = z.output<typeof imageSettingsSchema>;
export type ImageFormat = (typeof IMAGE_FORMATS)[number];
export type ImageFit = (typeof IMAGE_FITS)[number];
