import { write } from 'node:fs';
import { promisify } from 'node:util';
import type { Clock } from '#core/clock.ts';
import { delay } from '#core/clock.ts';
import { messageOf } from '#core/errors.ts';
import type { LogCounts, LogSink, SinkLog } from './sink.ts';

export interface OutputSinkOptions {
  /** 1: standard output. */
  readonly descriptor: number;
  readonly clock: Clock;
  readonly counts: LogCounts;
  readonly log: SinkLog;
}

/** How long whoever reads is given to make room in a pipe: little at first, for most are quick. */
const RETRY_MS = { first: 1, longest: 50 } as const;

const writeTo = promisify(write);

/** Lines to standard output, which nothing else of the process writes to. */
export class OutputSink implements LogSink {
  readonly #options: OutputSinkOptions;
  #failing = false;
  #closing = false;

  constructor(options: OutputSinkOptions) {
    this.#options = options;
    // Looked at once, Node has a pipe say when it is full; a write would block a thread of its pool.
    if (options.descriptor === 1) void process.stdout;
  }

  async write(lines: Uint8Array, count: number): Promise<void> {
    const { counts, log } = this.#options;
    try {
      await this.#writeAll(lines);
      counts.records += count;
      counts.bytes += lines.length;
      this.#failing = false;
    } catch (error) {
      counts.failed += count;
      if (!this.#failing) log.warn({ reason: messageOf(error) }, 'The access log fails');
      this.#failing = true;
    }
  }

  reopen(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.#closing = true;
    return Promise.resolve();
  }

  async #writeAll(lines: Uint8Array): Promise<void> {
    const { descriptor, clock } = this.#options;
    let retryMs: number = RETRY_MS.first;
    for (let written = 0; written < lines.length;) {
      try {
        const { bytesWritten } = await writeTo(descriptor, lines, written);
        written += bytesWritten;
        retryMs = RETRY_MS.first;
      } catch (error) {
        const isFull = (error as NodeJS.ErrnoException).code === 'EAGAIN';
        if (!isFull || this.#closing) throw error;
        await delay(clock, retryMs);
        retryMs = Math.min(RETRY_MS.longest, 2 * retryMs);
      }
    }
  }
}
