import type { FileHandle } from 'node:fs/promises';
import { DEFAULT_MAX_VARIANTS } from '#core/contract/cache-settings.ts';
import type { StoredObject } from '#core/cache/object.ts';
import type { Keeping, Writer } from '#core/cache/store.ts';
import { BlockWriter } from './blocks.ts';
import type { Files } from './files.ts';
import { codeOf } from './health.ts';
import type { KeeperLink } from './keeper-link.ts';
import { fileCost } from './ledger.ts';
import type { BodyPlace } from './record.ts';

/** Bodies up to this stand in the index. Measured in bench/disk.ts. */
export const INLINE_BYTES = 16 * 1024;
/** Content that may wait for the disk before whoever writes it has to. */
const QUEUED_BYTES = 1024 * 1024;
/** Room that is asked for at once where the size is not known. */
const ROOM_STEP_BYTES = 4 * 1024 * 1024;

export interface DiskWriterOptions {
  readonly expectedBytes: number | undefined;
  readonly keeping: Keeping;
  readonly maxObjectBytes: number;
  readonly start: Start;
  /** Small bodies stand in the index. */
  readonly mayInline: boolean;
  readonly keeper: KeeperLink;
  readonly files: Files;
  /** Gives the file its number. */
  readonly number: () => number;
  readonly syncFiles: boolean;
  /** Told that there is no room for it. */
  readonly onRefused: () => void;
}

/** When a write has begun. */
export interface Start {
  /** See `SharedState.ticket`. */
  readonly ticket: number;
  /** Of the object's `asOf`; see `Variant`. */
  readonly era: number;
}

interface OpenFile {
  readonly number: number;
  readonly handle: FileHandle;
  readonly blocks: BlockWriter;
}

/** One object on its way to disk: its content into a file, or into the index where it stays small. */
export class DiskWriter implements Writer {
  readonly holdsAll = false;
  readonly #options: DiskWriterOptions;
  #held: Buffer[] = [];
  #heldBytes = 0;
  #size = 0;
  #roomBytes = 0;
  #file: OpenFile | undefined;
  #writing: Promise<void> = Promise.resolve();
  #isToFile = false;
  #isBroken = false;
  #isEnded = false;

  constructor(options: DiskWriterOptions) {
    this.#options = options;
  }

  write(chunk: Buffer): Promise<void> | undefined {
    if (this.#isBroken || this.#isEnded) return undefined;
    this.#held.push(chunk);
    this.#heldBytes += chunk.length;
    this.#size += chunk.length;
    if (this.#isToFile || !this.#isSmall()) this.#flush();
    return this.#heldBytes > QUEUED_BYTES ? this.#writing : undefined;
  }

  async commit(object: Omit<StoredObject, 'body'>): Promise<boolean> {
    if (this.#isEnded) return false;
    if (!this.#isToFile && this.#isSmall()) {
      this.#isEnded = true;
      const body = Buffer.concat(this.#held, this.#size);
      return this.#commit(object, { size: this.#size }, body);
    }
    this.#flush();
    this.#isEnded = true;
    await this.#writing;
    const file = await this.#seal();
    if (file === undefined) {
      await this.#discard();
      return false;
    }
    const isStored = await this.#commit(object, { size: this.#size, file }, undefined);
    if (!isStored) await this.#options.files.remove(file);
    return isStored;
  }

  abandon(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    void this.#writing.then(() => this.#discard());
  }

  #isSmall(): boolean {
    const { expectedBytes = 0, mayInline } = this.#options;
    const bytes = Math.max(this.#size, expectedBytes);
    return bytes === 0 || (mayInline && bytes <= INLINE_BYTES);
  }

  /** Writes out what is held, behind what is being written. */
  #flush(): void {
    this.#isToFile = true;
    const chunks = this.#held;
    this.#held = [];
    this.#writing = this.#writing.then(async () => {
      try {
        if (!this.#isBroken) await this.#writeOut(chunks);
      } catch (error) {
        this.#failed(error);
      }
      for (const { length } of chunks) this.#heldBytes -= length;
      if (this.#isBroken) await this.#discard();
    });
  }

  async #writeOut(chunks: readonly Buffer[]): Promise<void> {
    if (!(await this.#hasRoom())) {
      this.#options.onRefused();
      this.#isBroken = true;
      return;
    }
    const file = (this.#file ??= await this.#open());
    for (const chunk of chunks) {
      for (const block of file.blocks.add(chunk)) await this.#writeAll(file.handle, block);
    }
  }

  async #hasRoom(): Promise<boolean> {
    const { expectedBytes = 0, keeper, maxObjectBytes } = this.#options;
    if (this.#size > maxObjectBytes) return false;
    const needed = fileCost(Math.max(this.#size, expectedBytes));
    if (needed <= this.#roomBytes) return true;
    const isFirst = this.#roomBytes === 0;
    const isKnown = this.#size <= expectedBytes;
    const bytes = needed - this.#roomBytes + (isKnown || isFirst ? 0 : ROOM_STEP_BYTES);
    if (!(await keeper.room(bytes, isFirst))) return false;
    this.#roomBytes += bytes;
    return true;
  }

  async #open(): Promise<OpenFile> {
    const { files, number } = this.#options;
    const file = number();
    return { number: file, handle: await files.create(file), blocks: new BlockWriter(file) };
  }

  /** Writes the end of the file. @returns its number; `undefined`: it is not whole */
  async #seal(): Promise<number | undefined> {
    const file = this.#file;
    if (file === undefined || this.#isBroken) return undefined;
    try {
      for (const block of file.blocks.end()) await this.#writeAll(file.handle, block);
      if (this.#options.syncFiles) await file.handle.datasync();
      await file.handle.close();
      return file.number;
    } catch (error) {
      this.#failed(error);
      return undefined;
    }
  }

  #failed(error: unknown): void {
    this.#isBroken = true;
    const code = codeOf(error);
    if (code !== undefined) this.#options.keeper.failed(code);
  }

  async #discard(): Promise<void> {
    this.#isBroken = true;
    const file = this.#file;
    this.#file = undefined;
    if (this.#roomBytes > 0) this.#options.keeper.release(this.#roomBytes);
    this.#roomBytes = 0;
    if (file === undefined) return;
    await file.handle.close().catch(() => undefined);
    await this.#options.files.remove(file.number);
  }

  #commit(
    object: Omit<StoredObject, 'body'>,
    at: BodyPlace,
    body: Buffer | undefined,
  ): Promise<boolean> {
    const { keeper, keeping, start, files } = this.#options;
    const commit = commitOf(object, at, body, keeping, start, this.#roomBytes);
    return files.latencies.timed('commit', () => keeper.commit(commit));
  }

  #writeAll(handle: FileHandle, bytes: Buffer): Promise<void> {
    return this.#options.files.latencies.timed('write', () => writeAll(handle, bytes));
  }
}

export function commitOf(
  object: Omit<StoredObject, 'body'>,
  at: BodyPlace,
  body: Buffer | undefined,
  { maxVariants = DEFAULT_MAX_VARIANTS, reserved = false, expiresAt = Infinity }: Keeping,
  { ticket, era }: Start,
  roomBytes: number,
): Parameters<KeeperLink['commit']>[0] {
  const { key, site, checked: _, ...head } = object;
  const variant = era === 0 ? head : { ...head, era };
  return { key, site, variant, at, body, ticket, maxVariants, reserved, expiresAt, roomBytes };
}

async function writeAll(handle: FileHandle, bytes: Buffer): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done);
    done += bytesWritten;
  }
}
