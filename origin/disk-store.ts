import { randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import type { Logger } from 'pino';
import type { Clock } from '#core/clock.ts';
import { CanopyError, messageOf } from '#core/errors.ts';
import type { ByteRange } from '#core/http/ranges.ts';
import { BodyFiles } from './body-files.ts';
import { ObjectIndex, sqliteCode } from './object-index.ts';
import type {
  Admission,
  Change,
  ListOptions,
  ObjectStore,
  OriginObject,
  Upload,
  Version,
  Written,
} from './object-store.ts';

export interface DiskStoreOptions {
  /** Holds the index and the bodies; made if missing. One process at a time. */
  readonly dir: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** Default: files in `dir`. */
  readonly bodies?: BodyFiles;
}

/** Where a store in `dir` keeps its contents. */
export const bodiesDir = (dir: string): string => join(dir, 'bodies');

/**
 * Objects on a local disk. A body is written under a name of its own and made durable before the
 * index refers to it, so a crash can leave a body without a reference, never the reverse.
 */
export class DiskStore implements ObjectStore {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #index: ObjectIndex;
  readonly #bodies: BodyFiles;
  /** Begins every generation of this run, so that sweeping knows bodies being written. */
  readonly #run = randomUUID();
  #generations = 0;
  readonly #swept: Promise<void>;

  /** @throws CanopyError `conflict` if another process has it open, `internal-error` if it is damaged */
  static async open(options: DiskStoreOptions): Promise<DiskStore> {
    const { dir } = options;
    await mkdir(bodiesDir(dir), { recursive: true, mode: 0o700 });
    const index = new ObjectIndex(join(dir, 'objects.sqlite'), options.clock.now());
    return new DiskStore(options, index, options.bodies ?? new BodyFiles(bodiesDir(dir)));
  }

  private constructor({ clock, log }: DiskStoreOptions, index: ObjectIndex, bodies: BodyFiles) {
    this.#clock = clock;
    this.#log = log;
    this.#index = index;
    this.#bodies = bodies;
    this.#swept = this.#sweep();
  }

  get id(): string {
    return this.#index.id;
  }

  get totals(): { readonly objects: number; readonly bytes: number } {
    return this.#index.totals;
  }

  async find(site: string, path: string): Promise<OriginObject | undefined> {
    return this.#index.get(site, path);
  }

  async read(object: OriginObject, range?: ByteRange): Promise<Readable | undefined> {
    const body = await this.#bodies.read(object.generation, object.size, range);
    if (body === undefined && this.#index.refersTo(object.generation)) {
      throw new CanopyError('internal-error', `Body ${object.generation} is missing`);
    }
    return body;
  }

  async put(
    site: string,
    path: string,
    upload: Upload,
  ): Promise<{ readonly object: OriginObject; readonly created: boolean }> {
    const { content, size, contentType, cacheControl, admit } = upload;
    const written = upload.written ?? this.#now();
    const generation = this.#nextGeneration();
    let put: ReturnType<ObjectIndex['put']>;
    try {
      const body = await this.#bodies.write(generation, content);
      if (size !== undefined && size !== body.size) {
        throw new CanopyError(
          'invalid-request',
          `Expected ${size} bytes of content, received ${body.size}`,
        );
      }
      const etag = `"${body.sha256}"`;
      if (written.by === 'replica' && written.etag !== etag) {
        throw new CanopyError('invalid-request', `The content is not ${written.etag}`);
      }
      const draft = {
        site,
        path,
        generation,
        etag,
        size: body.size,
        contentType,
        cacheControl,
        lastModifiedMs: written.atMs,
      };
      put = this.#index.put(draft, admit, written);
    } catch (error) {
      await this.#removeBody(generation);
      throw isFull(error)
        ? new CanopyError('insufficient-storage', 'The disk is full', { cause: error })
        : error;
    }
    if (put === undefined) {
      await this.#removeBody(generation);
      const there = this.#index.get(site, path);
      if (there === undefined) throw new CanopyError('not-found', `${path} was deleted later`);
      return { object: there, created: false };
    }
    const { object, replaced } = put;
    if (replaced !== undefined) await this.#removeBody(replaced.generation);
    return { object, created: replaced === undefined };
  }

  async delete(
    site: string,
    path: string,
    admit: Admission,
    written: Written = this.#now(),
  ): Promise<boolean> {
    const deleted = this.#index.delete(site, path, admit, written);
    if (deleted !== undefined) await this.#removeBody(deleted.generation);
    return deleted !== undefined;
  }

  async list(site: string, options: ListOptions): Promise<readonly OriginObject[]> {
    return this.#index.list(site, options);
  }

  async changes(after: number, limit: number): Promise<readonly Change[]> {
    return this.#index.changes(after, limit);
  }

  async latest(site: string, path: string): Promise<Version | undefined> {
    return this.#index.latest(site, path);
  }

  /** The last change of a replica's store that has been taken over here; 0: none. */
  followed(replica: string, store: string): number {
    return this.#index.followed(replica, store);
  }

  follow(replica: string, store: string, change: number): void {
    this.#index.follow(replica, store, change);
  }

  /** Resolves once what earlier runs left behind is gone. */
  get swept(): Promise<void> {
    return this.#swept;
  }

  async close(): Promise<void> {
    await this.#swept;
    this.#index.close();
  }

  #now(): Written {
    return { by: 'publisher', atMs: this.#clock.now() };
  }

  #nextGeneration(): string {
    const number = this.#generations++;
    return `${this.#run}-${number.toString(16).padStart(2, '0')}`;
  }

  /** A body that stays behind costs room, not correctness; the next start removes it. */
  async #removeBody(generation: string): Promise<void> {
    try {
      await this.#bodies.remove(generation);
    } catch (error) {
      this.#log.warn(`Cannot remove body ${generation}: ${messageOf(error)}`);
    }
  }

  async #sweep(): Promise<void> {
    const keep = (name: string): boolean =>
      name.startsWith(this.#run) || this.#index.refersTo(name);
    const warn = (problem: unknown): void =>
      this.#log.warn(`Cannot remove unreferenced bodies: ${messageOf(problem)}`);
    await this.#bodies.sweep(keep, warn).catch(warn);
  }
}

const SQLITE_FULL = 13;
const DISK_FULL: ReadonlySet<unknown> = new Set(['ENOSPC', 'EDQUOT']);

const isFull = (error: unknown): boolean =>
  DISK_FULL.has((error as NodeJS.ErrnoException).code) || sqliteCode(error) === SQLITE_FULL;
