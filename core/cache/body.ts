/** A complete body, held as the pieces in which it came. */
export class Body {
  static readonly empty = new Body([]);
  readonly chunks: readonly Buffer[];
  /** Bytes. */
  readonly size: number;

  constructor(chunks: readonly Buffer[]) {
    let size = 0;
    for (const chunk of chunks) size += chunk.length;
    this.size = size;
    // Small pieces are views into larger read buffers, which they would keep alive.
    this.chunks = size > 0 && size <= COPIED_BYTES ? [Buffer.concat(chunks, size)] : chunks;
  }

  /** The chunk that holds the byte at `offset`, from there on. */
  from(offset: number): Buffer | undefined {
    let passed = 0;
    for (const chunk of this.chunks) {
      if (offset < passed + chunk.length) return chunk.subarray(offset - passed);
      passed += chunk.length;
    }
    return undefined;
  }

  /** The bytes from `start` to `end`, both inclusive, without copying. */
  slice(start: number, end: number): readonly Buffer[] {
    const slices: Buffer[] = [];
    let offset = 0;
    for (const chunk of this.chunks) {
      const from = Math.max(start - offset, 0);
      const to = Math.min(end + 1 - offset, chunk.length);
      if (from < to) slices.push(chunk.subarray(from, to));
      offset += chunk.length;
    }
    return slices;
  }
}

const COPIED_BYTES = 64 * 1024;
