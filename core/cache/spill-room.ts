import { randomUUID } from 'node:crypto';
import { mkdir, open, unlink, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';

/** Disk on which bodies wait for slow readers: so many bytes of it, in files that nobody else sees. */
export class SpillRoom {
  readonly #dir: string;
  readonly #budgetBytes: number;
  #usedBytes = 0;
  #made: Promise<unknown> | undefined;

  /** Bytes of one file; they are freed when the slowest reader has passed all of them. */
  readonly segmentBytes: number;

  /** @param dir made when it is first needed */
  constructor(dir: string, budgetBytes: number, segmentBytes = 4 * 1024 * 1024) {
    this.segmentBytes = segmentBytes;
    this.#dir = dir;
    this.#budgetBytes = budgetBytes;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** `false`: so much is not left. */
  take(bytes: number): boolean {
    if (this.#usedBytes + bytes > this.#budgetBytes) return false;
    this.#usedBytes += bytes;
    return true;
  }

  giveBack(bytes: number): void {
    this.#usedBytes -= bytes;
  }

  /** A file without a name, so that a process that dies leaves nothing. */
  async file(): Promise<FileHandle> {
    this.#made ??= mkdir(this.#dir, { recursive: true });
    await this.#made;
    const path = join(this.#dir, randomUUID());
    const handle = await open(path, 'wx+', 0o600);
    await unlink(path);
    return handle;
  }
}
