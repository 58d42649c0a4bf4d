import type { FileHandle } from 'node:fs/promises';
import type { SpillRoom } from './spill-room.ts';

interface Segment {
  /** Offset in the body of its first byte. */
  readonly start: number;
  readonly file: Promise<FileHandle>;
  /** Bytes accepted, and of those written. */
  size: number;
  writtenBytes: number;
}

const READ_BYTES = 64 * 1024;

/**
 * The part of a body that its slow readers have still to read, on disk: written in order, read at
 * any offset that was not forgotten, and freed in segments as the slowest reader passes them.
 */
export class Spill {
  readonly #room: SpillRoom;
  readonly #onWritten: () => void;
  #segments: Segment[] = [];
  #end: number;
  #queuedBytes = 0;
  #writing: Promise<void> = Promise.resolve();
  #closed = false;
  #broken: Error | undefined;

  /**
   * @param start offset in the body of the first byte that will be written
   * @param onWritten called when bytes have left memory
   */
  constructor(room: SpillRoom, start: number, onWritten: () => void) {
    this.#room = room;
    this.#end = start;
    this.#onWritten = onWritten;
  }

  /** Offset in the body after the last byte accepted. */
  get end(): number {
    return this.#end;
  }
  /** Bytes accepted that are still in memory. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /** Appends to what is spilled; `false`: there is no room for it. */
  write(chunk: Buffer): boolean {
    if (!this.#room.take(chunk.length)) return false;
    const segment = this.#segmentForNext();
    const position = segment.size;
    segment.size += chunk.length;
    this.#end += chunk.length;
    this.#queuedBytes += chunk.length;
    this.#writing = this.#writing.then(() => this.#writeOut(segment, chunk, position));
    return true;
  }

  /** Some bytes from `offset` on, at least one. @throws where the disk failed */
  async read(offset: number): Promise<Buffer> {
    const segment = this.#segments.findLast(({ start }) => start <= offset);
    if (segment === undefined) throw new Error(`Nothing is spilled at ${offset}`);
    const position = offset - segment.start;
    if (position >= segment.writtenBytes) await this.#writing;
    if (position >= segment.writtenBytes) throw this.#broken ?? new Error('The spill is closed');
    const most = Math.min(READ_BYTES, this.#room.segmentBytes);
    const length = Math.min(most, segment.writtenBytes - position);
    const { bytesRead, buffer } = await (
      await segment.file
    ).read(Buffer.allocUnsafeSlow(length), 0, length, position);
    if (bytesRead === 0) throw new Error(`The spill file ends before ${offset}`);
    return buffer.subarray(0, bytesRead);
  }

  /** Nobody reads before `offset` any more. */
  forgetBefore(offset: number): void {
    while (this.#segments.length > 1) {
      const [first] = this.#segments;
      if (first === undefined || first.start + first.size > offset) return;
      this.#segments.shift();
      this.#free(first);
    }
  }

  close(): void {
    this.#closed = true;
    for (const segment of this.#segments) this.#free(segment);
    this.#segments = [];
  }

  #segmentForNext(): Segment {
    const last = this.#segments.at(-1);
    if (last !== undefined && last.size < this.#room.segmentBytes) return last;
    const file = this.#room.file();
    file.catch(() => undefined);
    const segment: Segment = { start: this.#end, file, size: 0, writtenBytes: 0 };
    this.#segments.push(segment);
    return segment;
  }

  async #writeOut(segment: Segment, chunk: Buffer, position: number): Promise<void> {
    try {
      if (!this.#closed && this.#broken === undefined) {
        const file = await segment.file;
        let done = 0;
        while (done < chunk.length) {
          const { bytesWritten } = await file.write(
            chunk,
            done,
            chunk.length - done,
            position + done,
          );
          done += bytesWritten;
        }
        segment.writtenBytes += chunk.length;
      }
    } catch (error) {
      // It surfaces where the bytes are read; what follows them is not written either.
      this.#broken = error instanceof Error ? error : new Error(String(error));
    } finally {
      this.#queuedBytes -= chunk.length;
      this.#onWritten();
    }
  }

  #free(segment: Segment): void {
    this.#room.giveBack(segment.size);
    // Writes under way end first; reads under way are waited for by close().
    this.#writing.then(async () => (await segment.file).close()).catch(() => undefined);
  }
}
