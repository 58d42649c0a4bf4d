import type { ImageFit, ImageFormat, ImageSettings } from '#core/contract/images.ts';

/** What the process that makes images is to do. */
export interface ImageOrder {
  readonly id: number;
  readonly source: Uint8Array;
  readonly width: number | undefined;
  readonly height: number | undefined;
  readonly fit: ImageFit;
  readonly quality: number | undefined;
  readonly qualities: ImageSettings['quality'];
  /** The first is made; none: that of the source. */
  readonly formats: readonly ImageFormat[];
  /** Of several frames, rather a later one that can have them all, or that of the source. */
  readonly isAuto: boolean;
  readonly maxPixels: number;
}

/** What has come of an order. */
export type ImageResult =
  | { readonly id: number; readonly content: Uint8Array; readonly contentType: string }
  /** Not an image that may be read. */
  | { readonly id: number; readonly error: string };
