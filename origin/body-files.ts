import { createHash } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { CanopyError, messageOf } from '#core/errors.ts';
import type { ByteRange } from '#core/http/ranges.ts';

const READ_CHUNK_BYTES = 256 * 1024;

/** Contents as files, one per generation. A file in use can be removed: its readers keep it. */
export class BodyFiles {
  readonly #dir: string;

  constructor(dir: string) {
    this.#dir = dir;
  }

  /** Writes a new body durably. If that fails, whatever there is of it is the caller's to remove. */
  async write(
    generation: string,
    content: AsyncIterable<Buffer>,
  ): Promise<{ readonly size: number; readonly sha256: string }> {
    const hash = createHash('sha256');
    let size = 0;
    async function* hashed(): AsyncGenerator<Buffer, void, undefined> {
      for await (const chunk of content) {
        hash.update(chunk);
        size += chunk.length;
        yield chunk;
      }
    }
    const shard = this.#shard(generation);
    const isNew = (await mkdir(shard, { recursive: true })) !== undefined;
    const file = await this.create(generation);
    await pipeline(hashed, file.createWriteStream({ flush: true }));
    await syncDirectory(shard);
    if (isNew) await syncDirectory(this.#dir);
    return { size, sha256: hash.digest('hex') };
  }

  /** A new empty file. A test overrides this to run into a full disk. */
  protected create(generation: string): Promise<FileHandle> {
    return open(this.#file(generation), 'wx', 0o600);
  }

  /**
   * @param size what the body must have, for a shorter one would leave its reader waiting
   * @returns `undefined` if there is no such body
   * @throws CanopyError `internal-error` if it is damaged
   */
  async read(
    generation: string,
    size: number,
    range: ByteRange | undefined,
  ): Promise<Readable | undefined> {
    const file = await openExisting(this.#file(generation));
    if (file === undefined) return undefined;
    try {
      const found = (await file.stat()).size;
      if (found !== size) {
        throw new CanopyError(
          'internal-error',
          `Body ${generation} is damaged: expected ${size} bytes, found ${found}`,
        );
      }
      return file.createReadStream({ ...range, highWaterMark: READ_CHUNK_BYTES });
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  async remove(generation: string): Promise<void> {
    await rm(this.#file(generation), { force: true });
  }

  /** Removes every body that `keep` does not want, and goes on past those that cannot be removed. */
  async sweep(
    keep: (generation: string) => boolean,
    onError: (message: string) => void,
  ): Promise<void> {
    for (const shard of await readdir(this.#dir)) {
      for (const generation of await readdir(join(this.#dir, shard))) {
        if (keep(generation)) continue;
        await this.remove(generation).catch((error: unknown) => onError(messageOf(error)));
      }
    }
  }

  /** Folders stay small: the last two characters of generations spread evenly. */
  #shard(generation: string): string {
    return join(this.#dir, generation.slice(-2));
  }

  #file(generation: string): string {
    return join(this.#shard(generation), generation);
  }
}

async function openExisting(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** A new name is durable only once its directory is. */
async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
