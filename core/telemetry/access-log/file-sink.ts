import { type FileHandle, open } from 'node:fs/promises';
import type { Clock } from '#core/clock.ts';
import { CanopyError, messageOf } from '#core/errors.ts';
import { LOG_MODE, moveAside, pack, prune, type RotationOptions } from './rotation.ts';
import type { LogCounts, LogSink, SinkLog } from './sink.ts';

export interface FileSinkOptions {
  readonly path: string;
  readonly rotation: RotationOptions;
  readonly clock: Pick<Clock, 'now'>;
  readonly counts: LogCounts;
  readonly log: SinkLog;
}

/**
 * Lines in a file. Of lines that do not fit on the disk nothing is left, so that no line is cut;
 * they are counted, and the next are tried anew.
 */
export class FileSink implements LogSink {
  readonly #options: FileSinkOptions;
  #file: FileHandle | undefined;
  #bytes = 0;
  #begunAt = 0;
  #failing = false;
  /** What is done to files that are written no more. */
  #tidying: Promise<void> = Promise.resolve();

  private constructor(options: FileSinkOptions) {
    this.#options = options;
  }

  /** @throws CanopyError `invalid-input` where the file cannot be written */
  static async open(options: FileSinkOptions): Promise<FileSink> {
    const sink = new FileSink(options);
    try {
      await sink.#open();
    } catch (cause) {
      throw new CanopyError(
        'invalid-input',
        `Cannot write the access log ${options.path}: ${messageOf(cause)}`,
        { cause },
      );
    }
    return sink;
  }

  async write(lines: Uint8Array, count: number): Promise<void> {
    const { counts, log, path } = this.#options;
    try {
      await this.#rotateIfDue(lines.length);
      await this.#append(lines);
      counts.records += count;
      counts.bytes += lines.length;
      if (this.#failing) log.info({ path }, 'The access log is written again');
      this.#failing = false;
    } catch (error) {
      counts.failed += count;
      if (!this.#failing) log.warn({ path, reason: messageOf(error) }, 'The access log fails');
      this.#failing = true;
    }
  }

  async reopen(): Promise<void> {
    const { log, path } = this.#options;
    const before = this.#file;
    try {
      await this.#open();
      await before?.close();
    } catch (error) {
      log.warn({ path, reason: messageOf(error) }, 'The access log cannot be opened anew');
    }
  }

  async close(): Promise<void> {
    await this.#file?.close();
    this.#file = undefined;
    await this.#tidying;
  }

  /** Resolves when files that were moved aside are packed and pruned. */
  get tidied(): Promise<void> {
    return this.#tidying;
  }

  async #open(): Promise<void> {
    const file = await open(this.#options.path, 'a', LOG_MODE);
    const { size, birthtimeMs, mtimeMs } = await file.stat();
    this.#file = file;
    this.#bytes = size;
    // Not all file systems know when a file was begun.
    this.#begunAt = size === 0 ? this.#options.clock.now() : birthtimeMs || mtimeMs;
  }

  async #append(lines: Uint8Array): Promise<void> {
    if (this.#file === undefined) await this.#open();
    const file = this.#file as FileHandle;
    let written = 0;
    try {
      while (written < lines.length) {
        written += (await file.write(lines, written)).bytesWritten;
      }
    } catch (error) {
      // Somebody else may have cut the file meanwhile, so its own size counts.
      if (written > 0) await file.truncate(Math.max(0, (await file.stat()).size - written));
      throw error;
    }
    this.#bytes += written;
  }

  async #rotateIfDue(more: number): Promise<void> {
    const { path, clock, log, rotation } = this.#options;
    const { maxBytes = Infinity, maxAgeMs = Infinity, keep, compress } = rotation;
    const now = clock.now();
    const isDue = this.#bytes + more > maxBytes || now - this.#begunAt >= maxAgeMs;
    if (this.#bytes === 0 || !isDue) return;
    const before = this.#file;
    try {
      const aside = await moveAside(path, now);
      this.#file = undefined;
      await before?.close();
      this.#tidying = this.#tidying
        .then(async () => {
          if (compress && keep > 0) await pack(aside);
          await prune(path, keep);
        })
        .catch((error: unknown) =>
          log.warn({ path: aside, reason: messageOf(error) }, 'An old access log cannot be tidied'),
        );
    } catch (error) {
      // Written on where it is: lines matter more than sizes. Tried again when as much has come.
      this.#bytes = 0;
      this.#begunAt = now;
      log.warn({ path, reason: messageOf(error) }, 'The access log cannot be moved aside');
    }
    if (this.#file === undefined) await this.#open();
  }
}
