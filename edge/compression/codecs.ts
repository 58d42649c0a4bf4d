import type { Transform } from 'node:stream';
import {
  constants,
  createBrotliCompress,
  createBrotliDecompress,
  createGunzip,
  createGzip,
  createZstdCompress,
  createZstdDecompress,
} from 'node:zlib';
import type { Coding } from '#core/http/content-coding.ts';

/** A transform that lets out on demand what it has taken in. */
export interface Encoder extends Transform {
  flush(kind: number): void;
}

export interface Codec {
  readonly encoder: (level: number) => Encoder;
  readonly decoder: () => Transform;
  /** What `flush` is to be called with. */
  readonly flushKind: number;
}

/** Window of brotli, 2 to this power: what it takes in memory of each answer under way. */
const BROTLI_WINDOW_BITS = 19;

/** They work in the thread pool of the process, not in the thread that serves. */
export const CODECS: Readonly<Record<Coding, Codec>> = {
  br: {
    encoder: (level) =>
      createBrotliCompress({
        params: {
          [constants.BROTLI_PARAM_QUALITY]: level,
          [constants.BROTLI_PARAM_LGWIN]: BROTLI_WINDOW_BITS,
        },
      }),
    decoder: () => createBrotliDecompress(),
    flushKind: constants.BROTLI_OPERATION_FLUSH,
  },
  zstd: {
    encoder: (level) =>
      createZstdCompress({
        params: {
          [constants.ZSTD_c_compressionLevel]: level,
          [constants.ZSTD_c_windowLog]: 19,
        },
      }),
    decoder: () => createZstdDecompress(),
    flushKind: constants.ZSTD_e_flush,
  },
  gzip: {
    encoder: (level) => createGzip({ level }),
    decoder: () => createGunzip(),
    flushKind: constants.Z_SYNC_FLUSH,
  },
};
