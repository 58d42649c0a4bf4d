import sharp, { type FormatEnum, type Metadata, type Sharp } from 'sharp';
import type { ImageFormat } from '#core/contract/images.ts';
import type { ImageOrder, ImageResult } from './order.ts';

// What origins send is not to be trusted: only these readers are there to be attacked.
sharp.block({ operation: ['VipsForeignLoad'] });
sharp.unblock({
  operation: [
    'VipsForeignLoadJpeg',
    'VipsForeignLoadPng',
    'VipsForeignLoadWebp',
    'VipsForeignLoadHeif',
    'VipsForeignLoadNsgif',
    'VipsForeignLoadTiff',
  ],
});
sharp.cache(false);
// One core for each order; several orders go on at a time.
sharp.concurrency(1);

/** Effort of AVIF, 0 to 9: above it each step takes twice the time for a few bytes. */
const AVIF_EFFORT = 3;

process.on('message', (order: ImageOrder) => {
  void carryOut(order).then((result) => process.send?.(result));
});
process.once('disconnect', () => process.exit());

async function carryOut(order: ImageOrder): Promise<ImageResult> {
  const { id } = order;
  try {
    const input = Buffer.from(order.source);
    const options = { limitInputPixels: order.maxPixels, failOn: 'error' as const };
    const found = await sharp(input, { ...options, animated: true }).metadata();
    if (found.width * found.height > order.maxPixels) throw new Error('It has too many pixels');
    const isAnimated = (found.pages ?? 1) > 1 && found.format !== 'tiff' && found.format !== 'heif';
    const format = formatOf(order, found, isAnimated);
    const keepsFrames = isAnimated && MOVING.has(format);
    const made = encoded(
      sharp(input, { ...options, animated: keepsFrames })
        .autoOrient()
        .resize({
          width: order.width,
          height: order.height,
          fit: order.fit,
          withoutEnlargement: true,
        }),
      format,
      order,
    );
    const { data } = await made.toBuffer({ resolveWithObject: true });
    return { id, content: data, contentType: `image/${format}` };
  } catch (error) {
    return { id, error: error instanceof Error ? error.message : String(error) };
  }
}

/** Formats of several frames. */
const MOVING: ReadonlySet<ImageFormat> = new Set(['webp', 'gif']);

const BY_SOURCE: Partial<Record<keyof FormatEnum, ImageFormat>> = {
  jpeg: 'jpeg',
  png: 'png',
  webp: 'webp',
  gif: 'gif',
  heif: 'avif',
};

function formatOf(
  { formats, isAuto }: ImageOrder,
  { format, hasAlpha }: Metadata,
  isAnimated: boolean,
): ImageFormat {
  const apt = isAuto && isAnimated ? formats.find((one) => MOVING.has(one)) : formats[0];
  return apt ?? BY_SOURCE[format] ?? (hasAlpha ? 'png' : 'jpeg');
}

function encoded(image: Sharp, format: ImageFormat, { quality, qualities }: ImageOrder): Sharp {
  switch (format) {
    case 'avif':
      return image.avif({ quality: quality ?? qualities.avif, effort: AVIF_EFFORT });
    case 'webp':
      return image.webp({ quality: quality ?? qualities.webp });
    case 'jpeg':
      return image
        .flatten({ background: '#ffffff' })
        .jpeg({ quality: quality ?? qualities.jpeg, mozjpeg: true });
    case 'png':
      return image.png({ compressionLevel: 9 });
    case 'gif':
      return image.gif();
  }
}
