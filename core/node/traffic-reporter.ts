import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import type { Cancel, Clock } from '#core/clock.ts';
import type { TrafficReport } from '#core/contract/traffic.ts';
import { messageOf } from '#core/errors.ts';

/** Half of a step of what the control plane draws. */
const REPORT_MS = 5_000;

export interface TrafficReporterOptions {
  readonly clock: Clock;
  readonly log: Logger;
  /** What the node has served since it started. */
  readonly traffic: () => Promise<Omit<TrafficReport, 'run' | 'isFirst'>>;
  readonly post: (report: TrafficReport) => Promise<unknown>;
}

/** Tells the control plane what the node serves. Nothing depends on it: what cannot be told now is told with the next. */
export class TrafficReporter {
  readonly #options: TrafficReporterOptions;
  readonly #run = randomUUID();
  #isFirst = true;
  #cancel: Cancel | undefined;
  #stopped = false;

  constructor(options: TrafficReporterOptions) {
    this.#options = options;
  }

  start(): void {
    const { clock } = this.#options;
    this.#cancel = clock.after(REPORT_MS, () => {
      void this.report().finally(() => {
        if (!this.#stopped) this.start();
      });
    });
  }

  /** Reports now. */
  async report(): Promise<void> {
    const { log, post, traffic } = this.#options;
    try {
      await post({ run: this.#run, isFirst: this.#isFirst, ...(await traffic()) });
      this.#isFirst = false;
    } catch (error) {
      log.debug(`Traffic is not reported: ${messageOf(error)}`);
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
  }
}
