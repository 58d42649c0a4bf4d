import type { Logger } from 'pino';
import type { Cancel, Clock } from '#core/clock.ts';
import { type Heartbeat, type Lease, leaseSchema } from '#core/contract/report.ts';
import { validate } from '#core/contract/validate.ts';
import { messageOf } from '#core/errors.ts';
import type { NodeLease } from './lease.ts';

/** Until the control plane has said how long a lease is. */
const FIRST_INTERVAL_MS = 2_500;

/** Beats every quarter of a lease, so that three may be lost. */
export class Heart {
  readonly #options: HeartOptions;
  #intervalMs = FIRST_INTERVAL_MS;
  #cancel: Cancel | undefined;
  #beating: Promise<void> | undefined;
  #stopped = false;

  constructor(options: HeartOptions) {
    this.#options = options;
  }

  /** Beats now, and from then on at intervals. */
  beat(): void {
    if (this.#stopped || this.#beating !== undefined) return;
    this.#cancel?.();
    this.#beating = this.#beatOnce().finally(() => {
      this.#beating = undefined;
      if (this.#stopped) return;
      this.#cancel = this.#options.clock.after(this.#intervalMs, () => this.beat());
    });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancel?.();
    await this.#beating;
  }

  async #beatOnce(): Promise<void> {
    const { clock, lease, log, heartbeat, post } = this.#options;
    const sentAtMonotonicMs = clock.monotonicMs();
    try {
      const answer: Lease = validate(leaseSchema, await post(heartbeat()), 'lease');
      lease.granted(sentAtMonotonicMs, answer.leaseMs);
      this.#intervalMs = answer.leaseMs / 4;
    } catch (error) {
      if (!this.#stopped) log.debug(`No lease: ${messageOf(error)}`);
    }
  }
}

export interface HeartOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly lease: NodeLease;
  readonly heartbeat: () => Heartbeat;
  /** @returns the control plane's answer */
  readonly post: (heartbeat: Heartbeat) => Promise<unknown>;
}
