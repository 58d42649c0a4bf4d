import type { Clock } from '#core/clock.ts';
import { delay } from '#core/clock.ts';
import type { Samples } from '../samples.ts';
import { FileSink } from './file-sink.ts';
import { HttpSink } from './http-sink.ts';
import { OutputSink } from './output-sink.ts';
import type { RotationOptions } from './rotation.ts';
import { LogCounts, type LogSink, type SinkLog } from './sink.ts';
import type { LogContent } from './thread-log.ts';

/** Where the lines go. */
export type LogTarget =
  | { readonly kind: 'file'; readonly path: string; readonly rotation: RotationOptions }
  | { readonly kind: 'stdout' }
  | {
      readonly kind: 'http';
      readonly url: string;
      /** Value of `Authorization`. */
      readonly authorization?: string | undefined;
      readonly bufferBytes: number;
    };

export interface AccessLogOptions extends LogContent {
  readonly to: LogTarget;
}

/** How long what is written may take once the node has stopped. */
const CLOSE_MS = 5_000;

/** The access log of a node, in its main thread: lines of all its threads, one batch after the other. */
export class NodeLog {
  readonly #sink: LogSink;
  readonly #counts: LogCounts;
  readonly #clock: Clock;
  #last: Promise<void> = Promise.resolve();

  constructor(sink: LogSink, counts: LogCounts, clock: Clock) {
    this.#sink = sink;
    this.#counts = counts;
    this.#clock = clock;
  }

  /** @throws CanopyError `invalid-input` where its file cannot be written */
  static async open({ to }: AccessLogOptions, clock: Clock, log: SinkLog): Promise<NodeLog> {
    const counts = new LogCounts();
    return new NodeLog(await sinkFor(to, { clock, counts, log }), counts, clock);
  }

  /** Resolves when `lines` may be used anew. */
  write(lines: Uint8Array, count: number): Promise<void> {
    this.#last = this.#last.then(() => this.#sink.write(lines, count));
    return this.#last;
  }

  /** Opens the file anew, once it has been moved away (SIGHUP of logrotate). */
  reopen(): Promise<void> {
    this.#last = this.#last.then(() => this.#sink.reopen());
    return this.#last;
  }

  sample(samples: Samples): void {
    samples.add('canopy_access_log_records_total', this.#counts.records);
    samples.add('canopy_access_log_bytes_total', this.#counts.bytes);
    samples.add('canopy_access_log_retries_total', this.#counts.retries);
    samples.add('canopy_access_log_dropped_total', this.#counts.failed, 'failed');
  }

  /** Resolves when all lines are written, or given up. */
  async close(): Promise<void> {
    await Promise.race([this.#last, delay(this.#clock, CLOSE_MS)]);
    await this.#sink.close(CLOSE_MS);
  }
}

async function sinkFor(
  to: LogTarget,
  shared: { readonly clock: Clock; readonly counts: LogCounts; readonly log: SinkLog },
): Promise<LogSink> {
  switch (to.kind) {
    case 'file':
      return FileSink.open({ ...shared, path: to.path, rotation: to.rotation });
    case 'stdout':
      return new OutputSink({ ...shared, descriptor: 1 });
    case 'http':
      return new HttpSink({
        ...shared,
        url: to.url,
        authorization: to.authorization,
        bufferBytes: to.bufferBytes,
      });
  }
}
