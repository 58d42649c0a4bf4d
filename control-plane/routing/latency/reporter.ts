import type { Logger } from 'pino';
import type { Cancel, Clock } from '#core/clock.ts';
import { MAX_OBSERVATIONS, type Observation } from '#core/contract/latency.ts';
import { messageOf } from '#core/errors.ts';

const INTERVAL_MS = 5_000;

export interface LatencyReporterOptions {
  readonly clock: Clock;
  readonly log: Logger;
  /** Tells the control plane. */
  readonly post: (report: { readonly observations: readonly Observation[] }) => Promise<unknown>;
}

/** Tells the control plane what beacons have brought; while it is gone the latest of it is kept. */
export class LatencyReporter {
  readonly #options: LatencyReporterOptions;
  #waiting: Observation[] = [];
  #cancel: Cancel | undefined;
  #reporting: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(options: LatencyReporterOptions) {
    this.#options = options;
  }

  /** Those that are told next. */
  get waiting(): number {
    return this.#waiting.length;
  }

  add(observations: readonly Observation[]): void {
    this.#waiting = [...this.#waiting, ...observations].slice(-MAX_OBSERVATIONS);
    this.#later();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancel?.();
    await this.#reporting;
  }

  #later(): void {
    if (this.#stopped || this.#waiting.length === 0) return;
    this.#cancel ??= this.#options.clock.after(INTERVAL_MS, () => {
      this.#reporting = this.#report();
    });
  }

  async #report(): Promise<void> {
    const observations = this.#waiting;
    this.#waiting = [];
    try {
      await this.#options.post({ observations });
    } catch (error) {
      this.#options.log.debug(`Keeps what beacons have brought: ${messageOf(error)}`);
      this.#waiting = [...observations, ...this.#waiting].slice(-MAX_OBSERVATIONS);
    }
    this.#cancel = undefined;
    this.#later();
  }
}
