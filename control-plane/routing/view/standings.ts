import type { Logger } from 'pino';
import type { Cancel, Clock } from '#core/clock.ts';
import { type NodeStanding, standingsSchema } from '#core/contract/standing.ts';
import { validate } from '#core/contract/validate.ts';
import { messageOf } from '#core/errors.ts';

const INTERVAL_MS = 1_000;

export interface StandingsPollOptions {
  readonly clock: Clock;
  readonly log: Logger;
  /** Asks the control plane. */
  readonly ask: () => Promise<unknown>;
  /** Told what it says; `undefined`: it says nothing. */
  readonly onHeard: (standings: readonly NodeStanding[] | undefined) => void;
}

/** Asks the control plane every second how the nodes stand. */
export class StandingsPoll {
  readonly #options: StandingsPollOptions;
  #cancel: Cancel = () => undefined;
  #stopped = false;
  #asking: Promise<void> = Promise.resolve();

  constructor(options: StandingsPollOptions) {
    this.#options = options;
    this.#next();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancel();
    await this.#asking;
  }

  #next(): void {
    this.#asking = this.#once().finally(() => {
      if (!this.#stopped) this.#cancel = this.#options.clock.after(INTERVAL_MS, () => this.#next());
    });
  }

  async #once(): Promise<void> {
    const { ask, onHeard, log } = this.#options;
    try {
      onHeard(validate(standingsSchema, await ask(), 'standings').nodes);
    } catch (error) {
      if (this.#stopped) return;
      log.debug(`The control plane does not tell how the nodes stand: ${messageOf(error)}`);
      onHeard(undefined);
    }
  }
}
