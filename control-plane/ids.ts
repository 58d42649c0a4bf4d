import { v7 } from 'uuid';
import type { Clock } from '#core/clock.ts';

/** UUIDs of version 7 (RFC 9562 §5.7): in the order of time, and those of one process strictly so. */
export class Ids {
  readonly #clock: Clock;
  #lastMs = 0;
  #count = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  next(): string {
    const nowMs = this.#clock.now();
    // A clock that went back would spoil the order.
    if (nowMs > this.#lastMs) [this.#lastMs, this.#count] = [nowMs, 0];
    this.#count += 1;
    return v7({ msecs: this.#lastMs, seq: this.#count });
  }
}
