const PIECE_BYTES = 64 * 1024;
/** Bytes of a piece below which bookkeeping would outweigh content. */
const SMALL_BYTES = 16 * 1024;
/** Share of what the pieces keep alive that may be something else. */
const MAX_WASTE = 1 / 16;

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
    this.chunks = keepsOnlyItself(chunks, size) ? chunks : copied(chunks, size);
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

/** Whether its pieces are few, and not views on much larger read buffers, which they would keep alive. */
function keepsOnlyItself(chunks: readonly Buffer[], size: number): boolean {
  if (size < SMALL_BYTES * chunks.length) return size === 0;
  const buffers = new Set(chunks.map(({ buffer }) => buffer));
  let heldBytes = 0;
  for (const { byteLength } of buffers) heldBytes += byteLength;
  return heldBytes * (1 - MAX_WASTE) <= size;
}

/** The same bytes in pieces of their own; buffers from Node's pool would keep its other users. */
function copied(chunks: readonly Buffer[], size: number): readonly Buffer[] {
  const pieces: Buffer[] = [];
  let piece = Buffer.alloc(0);
  let filled = 0;
  let passed = 0;
  for (const chunk of chunks) {
    for (let at = 0; at < chunk.length;) {
      if (filled === piece.length) {
        piece = Buffer.allocUnsafeSlow(Math.min(PIECE_BYTES, size - passed));
        pieces.push(piece);
        filled = 0;
      }
      const bytes = chunk.copy(piece, filled, at);
      at += bytes;
      filled += bytes;
      passed += bytes;
    }
  }
  return pieces;
}
