import type { Logger } from 'pino';
import { type Clock, delay } from '#core/clock.ts';
import type { Acknowledgement, PurgeReport } from '#core/contract/report.ts';
import { messageOf } from '#core/errors.ts';

const RETRY_MS = 500;

/** Reports that one acknowledgement may carry. */
const LARGEST_BATCH = 10_000;

type Applied = Omit<Acknowledgement, 'refusals'>;

/** Tells the control plane what is applied, one request at a time; what piles up meanwhile goes together. */
export class Acknowledger {
  readonly #post: (applied: Applied) => Promise<void>;
  readonly #clock: Clock;
  readonly #log: Logger;
  #fence: number | undefined;
  #reports: PurgeReport[] = [];
  #sending = false;
  #stopped = false;

  constructor(options: {
    readonly post: (applied: Applied) => Promise<void>;
    readonly clock: Clock;
    readonly log: Logger;
  }) {
    this.#post = options.post;
    this.#clock = options.clock;
    this.#log = options.log;
  }

  /** Every event up to `fence` is applied. */
  add(fence: number, report: PurgeReport | undefined): void {
    this.#fence = fence;
    if (report !== undefined) this.#reports.push(report);
    if (!this.#sending) void this.#sendAll();
  }

  stop(): void {
    this.#stopped = true;
  }

  async #sendAll(): Promise<void> {
    this.#sending = true;
    while (this.#fence !== undefined && !this.#stopped) {
      const purges = this.#reports.splice(0, LARGEST_BATCH);
      const more = this.#reports.length > 0;
      // No purge may be acknowledged before its report is sent.
      const fence = (more ? purges.at(-1)?.sequence : undefined) ?? this.#fence;
      if (!more) this.#fence = undefined;
      try {
        await this.#post({ fence, purges });
      } catch (error) {
        this.#log.debug(`Could not acknowledge ${fence}: ${messageOf(error)}`);
        this.#fence ??= fence;
        this.#reports.unshift(...purges);
        if (!this.#stopped) await delay(this.#clock, RETRY_MS);
      }
    }
    this.#sending = false;
  }
}
