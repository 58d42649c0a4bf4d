import type { Clock } from '#core/clock.ts';

/** Part of a lease that the node gives up, so that it knows of the end before the control plane does. */
const MARGIN = 0.1;

/** A node's view of its lease: until it ends, no purge can have completed without this node. */
export class NodeLease {
  readonly #clock: Clock;
  #endsAtMonotonicMs = -Infinity;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * @param sentAtMonotonicMs when the heartbeat that was answered left this node, not when the answer came
   * @param leaseMs what the control plane granted
   */
  granted(sentAtMonotonicMs: number, leaseMs: number): void {
    const endsAt = sentAtMonotonicMs + leaseMs * (1 - MARGIN);
    this.#endsAtMonotonicMs = Math.max(this.#endsAtMonotonicMs, endsAt);
  }

  /** Time of `Clock.monotonicMs` at which the lease ends, margin taken off; `-Infinity` before the first. */
  get endsAtMonotonicMs(): number {
    return this.#endsAtMonotonicMs;
  }

  ended(): boolean {
    return this.#clock.monotonicMs() >= this.#endsAtMonotonicMs;
  }
}
