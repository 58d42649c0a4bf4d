import { crc32 } from 'node:zlib';

/** Content that one checksum covers. */
export const BLOCK_BYTES = 64 * 1024;
const CHECKSUM_BYTES = 4;
/** Bytes of a whole block in its file: a CRC-32, then the content. */
export const STRIDE_BYTES = CHECKSUM_BYTES + BLOCK_BYTES;

/** What content of `size` bytes takes in its file. */
export const fileBytes = (size: number): number =>
  size + Math.ceil(size / BLOCK_BYTES) * CHECKSUM_BYTES;

/** Of the place as well as the content, so that no other block passes for this one. */
const checksum = (content: Buffer, file: number, index: number): number =>
  crc32(content, (Math.imul(file, 0x9e3779b1) ^ index) >>> 0);

/** Cuts content into blocks as it comes. */
export class BlockWriter {
  readonly #file: number;
  #block = Buffer.allocUnsafe(STRIDE_BYTES);
  #filled = CHECKSUM_BYTES;
  #index = 0;

  constructor(file: number) {
    this.#file = file;
  }

  /** The blocks that `chunk` completes. */
  *add(chunk: Buffer): Generator<Buffer> {
    for (let offset = 0; offset < chunk.length;) {
      const copied = chunk.copy(this.#block, this.#filled, offset);
      this.#filled += copied;
      offset += copied;
      if (this.#filled === STRIDE_BYTES) yield this.#seal();
    }
  }

  /** What is left at the end, if anything. */
  *end(): Generator<Buffer> {
    if (this.#filled > CHECKSUM_BYTES) yield this.#seal();
  }

  #seal(): Buffer {
    const block = this.#block.subarray(0, this.#filled);
    const sum = checksum(block.subarray(CHECKSUM_BYTES), this.#file, this.#index++);
    block.writeUInt32LE(sum, 0);
    this.#block = Buffer.allocUnsafe(STRIDE_BYTES);
    this.#filled = CHECKSUM_BYTES;
    return block;
  }
}

/**
 * The content of consecutive blocks as read from their file.
 * @param first index of the first of them
 * @returns `undefined` where one is damaged
 */
export function readBlocks(bytes: Buffer, file: number, first: number): Buffer[] | undefined {
  const contents: Buffer[] = [];
  for (let offset = 0; offset < bytes.length; offset += STRIDE_BYTES) {
    const content = bytes.subarray(offset + CHECKSUM_BYTES, offset + STRIDE_BYTES);
    const index = first + offset / STRIDE_BYTES;
    if (bytes.length - offset <= CHECKSUM_BYTES) return undefined;
    if (bytes.readUInt32LE(offset) !== checksum(content, file, index)) return undefined;
    contents.push(content);
  }
  return contents;
}
