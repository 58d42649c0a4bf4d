import { type FileHandle, mkdir, open, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { CanopyError } from '#core/errors.ts';
import type { ByteRange } from '#core/http/ranges.ts';
import type { Bodies } from './bodies.ts';

const READ_CHUNK_BYTES = 256 * 1024;

/** Bodies as files. */
export class BodyFiles implements Bodies {
  readonly #dir: string;

  constructor(dir: string) {
    this.#dir = dir;
  }

  async write(name: string, content: AsyncIterable<Buffer>): Promise<void> {
    const shard = this.#shard(name);
    const isNew = (await mkdir(shard, { recursive: true })) !== undefined;
    const file = await this.create(name);
    await pipeline(content, file.createWriteStream({ flush: true }));
    await syncDirectory(shard);
    if (isNew) await syncDirectory(this.#dir);
  }

  /** A new empty file. A test overrides this to run into a full disk. */
  protected create(name: string): Promise<FileHandle> {
    return open(this.#file(name), 'wx', 0o600);
  }

  async read(
    name: string,
    size: number,
    range: ByteRange | undefined,
  ): Promise<ReadStream | undefined> {
    const file = await openExisting(this.#file(name));
    if (file === undefined) return undefined;
    try {
      const found = (await file.stat()).size;
      if (found !== size) {
        throw new CanopyError(
          'internal-error',
          `Body ${name} is damaged: expected ${size} bytes, found ${found}`,
        );
      }
      return file.createReadStream({ ...range, highWaterMark: READ_CHUNK_BYTES });
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  async remove(name: string): Promise<void> {
    await rm(this.#file(name), { force: true });
  }

  async sweep(keep: (name: string) => boolean, onError: (error: unknown) => void): Promise<void> {
    for (const shard of await readdir(this.#dir)) {
      for (const name of await readdir(join(this.#dir, shard))) {
        if (!keep(name)) await this.remove(name).catch(onError);
      }
    }
  }

  /** Folders stay small: the last two characters of names spread evenly. */
  #shard(name: string): string {
    return join(this.#dir, name.slice(-2));
  }

  #file(name: string): string {
    return join(this.#shard(name), name);
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
