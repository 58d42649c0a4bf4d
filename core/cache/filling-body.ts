import { CanopyError } from '#core/errors.ts';
import { BodyReader, type FoundAt, type ReaderSource } from './body-reader.ts';
import { Spill } from './spill.ts';
import type { SpillRoom } from './spill-room.ts';

/** Bytes of a body that is not kept that may be in memory, ahead of the slowest who reads there. */
const WINDOW_BYTES = 1024 * 1024;

/**
 * A body on its way from a parent, read by any number of clients as it arrives.
 * While it is *kept*, readers start at its first byte and nobody holds it up. Once it is not
 * (`letGo`), what all readers have passed is dropped, and the parent is read at their pace: one who
 * is a window behind while another waits for more reads on from disk, so as not to hold that one up,
 * and is cut where there is no room on disk either.
 */
export class FillingBody implements ReaderSource {
  readonly #chunks: Buffer[] = [];
  readonly #readers = new Set<BodyReader>();
  readonly #onAbandoned: () => void;
  readonly #spillRoom: SpillRoom | undefined;
  readonly #windowBytes: number;
  #spill: Spill | undefined;
  /** Index of the first chunk still held, and the offset of its first byte. */
  #dropped = 0;
  #droppedBytes = 0;
  #size = 0;
  #kept: boolean;
  #outcome: 'open' | 'complete' | Error = 'open';
  #roomWanted: (() => void) | undefined;
  #abandoned = false;

  /**
   * @param onAbandoned called when the last reader of a body that is not kept has gone
   * @param spillRoom without it the slowest reader sets the pace
   */
  constructor(
    kept: boolean,
    onAbandoned: () => void,
    spillRoom?: SpillRoom,
    windowBytes = WINDOW_BYTES,
  ) {
    this.#windowBytes = windowBytes;
    this.#kept = kept;
    this.#onAbandoned = onAbandoned;
    this.#spillRoom = spillRoom;
  }

  /** Bytes that have come. */
  get size(): number {
    return this.#size;
  }
  get kept(): boolean {
    return this.#kept;
  }
  /** Whether a new reader can have every byte. */
  get joinable(): boolean {
    return this.#dropped === 0 && !(this.#outcome instanceof Error);
  }
  /** All chunks of a kept, complete body. */
  get chunks(): readonly Buffer[] {
    return this.#chunks;
  }

  append(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
    while (this.#spill?.write(chunk) === false) this.#cutSlowest();
    this.#wakeReaders();
  }

  complete(): void {
    this.#outcome = 'complete';
    this.#wakeReaders();
  }

  /** Readers get what has come, then the error. */
  fail(error: Error): void {
    this.#outcome = error;
    this.#wakeReaders();
    this.#roomWanted?.();
  }

  /** Stops keeping the body: it has turned out too large to store, or purged. */
  letGo(): void {
    if (!this.#kept) return;
    this.#kept = false;
    this.#dropPassed();
    this.#abandonIfUnread();
  }

  /** Resolves when the parent may be read on. */
  room(): Promise<void> | undefined {
    if (this.#abandoned || !this.#isFull()) return undefined;
    this.#spillSlow();
    if (!this.#isFull()) return undefined;
    return new Promise((resolve) => {
      this.#roomWanted = () => {
        this.#roomWanted = undefined;
        resolve();
      };
    });
  }

  /** All bytes from the first, as they arrive. Must be read or returned. */
  read(): AsyncIterableIterator<Buffer> {
    if (!this.joinable) throw new Error('The first bytes of this body are gone');
    const reader = new BodyReader(this);
    this.#readers.add(reader);
    return reader;
  }

  at(reader: BodyReader): FoundAt {
    if (reader.spilled && reader.offset >= this.#droppedBytes) this.#backToMemory(reader);
    if (reader.spilled && this.#spill !== undefined) return this.#spill.read(reader.offset);
    const chunk = this.#chunks[reader.index];
    if (chunk !== undefined)
      return reader.skipBytes === 0 ? chunk : chunk.subarray(reader.skipBytes);
    if (this.#outcome === 'open') return 'wait';
    return this.#outcome === 'complete' ? 'end' : this.#outcome;
  }

  passed(reader: BodyReader): void {
    if (this.#kept) return;
    if (reader.spilled) {
      // A read from disk may take it past one in memory, whose bytes must not be forgotten for that.
      if (reader.offset >= this.#droppedBytes) this.#backToMemory(reader);
      this.#tidySpill();
    } else if (this.#roomWanted !== undefined) this.#spillSlow();
    this.#dropPassed();
  }

  left(reader: BodyReader): void {
    if (!this.#readers.delete(reader)) return;
    this.#tidySpill();
    this.#dropPassed();
    this.#abandonIfUnread();
  }

  #abandonIfUnread(): void {
    if (this.#readers.size > 0 || this.#kept || this.#outcome !== 'open') return;
    this.#abandoned = true;
    this.#onAbandoned();
    this.#roomWanted?.();
  }

  #isFull(): boolean {
    if (this.#kept) return false;
    const ahead = this.#size - this.#paceOffset();
    return ahead >= this.#windowBytes || (this.#spill?.queuedBytes ?? 0) >= this.#windowBytes;
  }

  /** Where the reader is that sets the pace: the slowest in memory, else the fastest on disk. */
  #paceOffset(): number {
    let slowest = Infinity;
    // Before anybody reads, what has come is all ahead.
    let fastest = 0;
    for (const { offset, spilled } of this.#readers) {
      if (spilled) fastest = Math.max(fastest, offset);
      else slowest = Math.min(slowest, offset);
    }
    return slowest === Infinity ? fastest : slowest;
  }

  #onDisk(): readonly BodyReader[] {
    return [...this.#readers].filter(({ spilled }) => spilled);
  }

  /** Moves to disk who is a window behind, if somebody else has all that has come. */
  #spillSlow(): void {
    const room = this.#spillRoom;
    if (room === undefined || this.#outcome !== 'open') return;
    const inMemory = [...this.#readers].filter(({ spilled }) => !spilled);
    if (!inMemory.some(({ index }) => index === this.#chunks.length)) return;
    const slow = inMemory.filter(({ offset }) => this.#size - offset >= this.#windowBytes);
    for (const reader of slow.toSorted((a, b) => a.offset - b.offset)) this.#toDisk(reader, room);
    this.#dropPassed();
  }

  #toDisk(reader: BodyReader, room: SpillRoom): void {
    // Whoever reads from memory is past all who read from disk, so an open spill has its bytes.
    this.#spill ??= this.#spilledFrom(reader, room);
    if (this.#spill === undefined) this.#cut(reader);
    else reader.spilled = true;
  }

  /** A spill of all from the reader's place on, if there is room for that. */
  #spilledFrom({ index, skipBytes, offset }: BodyReader, room: SpillRoom): Spill | undefined {
    const spill = new Spill(room, offset, () => this.#dropPassed());
    for (const [i, chunk] of this.#chunks.slice(index).entries()) {
      if (spill.write(i === 0 ? chunk.subarray(skipBytes) : chunk)) continue;
      spill.close();
      return undefined;
    }
    return spill;
  }

  /** The reader has come to what is in memory. */
  #backToMemory(reader: BodyReader): void {
    let start = this.#droppedBytes;
    let index = this.#dropped;
    for (; index < this.#chunks.length; index++) {
      const end = start + (this.#chunks[index]?.length ?? 0);
      if (end > reader.offset) break;
      start = end;
    }
    reader.index = index;
    reader.skipBytes = reader.offset - start;
    reader.spilled = false;
    this.#tidySpill();
  }

  #cutSlowest(): void {
    const [slowest] = this.#onDisk().toSorted((a, b) => a.offset - b.offset);
    if (slowest !== undefined) this.#cut(slowest);
    this.#tidySpill();
  }

  #cut(reader: BodyReader): void {
    this.#readers.delete(reader);
    reader.cut(new CanopyError('insufficient-storage', 'No room is left for slow readers'));
  }

  /** Frees what nobody will read from disk. */
  #tidySpill(): void {
    const spill = this.#spill;
    if (spill === undefined) return;
    const onDisk = this.#onDisk();
    if (onDisk.length > 0) spill.forgetBefore(Math.min(...onDisk.map(({ offset }) => offset)));
    else {
      this.#spill = undefined;
      spill.close();
    }
  }

  #dropPassed(): void {
    if (this.#kept) return;
    for (const passed = this.#firstNeeded(); this.#dropped < passed; this.#dropped++) {
      this.#droppedBytes += this.#chunks[this.#dropped]?.length ?? 0;
      this.#chunks[this.#dropped] = NO_BYTES;
    }
    if (this.#roomWanted !== undefined && !this.#isFull()) this.#roomWanted();
  }

  /** Index of the first chunk that somebody still reads from memory. */
  #firstNeeded(): number {
    if (this.#readers.size === 0) return this.#dropped;
    let first = this.#chunks.length;
    for (const { index, spilled } of this.#readers) if (!spilled) first = Math.min(first, index);
    return first;
  }

  #wakeReaders(): void {
    for (const reader of this.#readers) reader.wake();
  }
}

const NO_BYTES = Buffer.alloc(0);
