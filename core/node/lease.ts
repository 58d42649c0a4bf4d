import type { Clock } from '#core/clock.ts';

/** Part of a lease that the node gives up, so that it knows of the end before the control plane does. */
const MARGIN = 0.1;

/** When the lease ends, as `Clock.monotonicMs` tells it. */
export type LeaseMemory = Float64Array<SharedArrayBuffer>;

function noLease(): LeaseMemory {
  return new Float64Array(new SharedArrayBuffer(8)).fill(-Infinity);
}

/** A node's view of its lease: until it ends, no purge can have completed without this node. */
export class NodeLease {
  /** The one number of it, in memory that the process's threads share. */
  readonly memory: LeaseMemory;
  readonly #clock: Clock;

  /** @param memory of a lease held by another thread, to see it from here */
  constructor(clock: Clock, memory: LeaseMemory = noLease()) {
    this.#clock = clock;
    this.memory = memory;
  }

  /**
   * @param sentAtMonotonicMs when the heartbeat that was answered left this node, not when the answer came
   * @param leaseMs what the control plane granted
   */
  granted(sentAtMonotonicMs: number, leaseMs: number): void {
    const endsAt = sentAtMonotonicMs + leaseMs * (1 - MARGIN);
    this.memory[0] = Math.max(this.endsAtMonotonicMs, endsAt);
  }

  /** Time of `Clock.monotonicMs` at which the lease ends, margin taken off; `-Infinity` before the first. */
  get endsAtMonotonicMs(): number {
    return this.memory[0] ?? -Infinity;
  }

  ended(): boolean {
    return this.#clock.monotonicMs() >= this.endsAtMonotonicMs;
  }
}
