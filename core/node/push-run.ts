import { type Clock, delay } from '#core/clock.ts';
import {
  addCounts,
  MAX_FAILURES,
  NO_COUNTS,
  type PushCounts,
  type PushFailure,
  type PushReport,
  type PushWork,
} from '#core/contract/push.ts';
import type { Place, Placed, Placement } from './placement.ts';
import { type SharedPace, sharedPace } from './shared-pace.ts';

/** Before an object that could not be placed is tried again; after the last it has failed. */
const RETRY_MS = [1_000, 5_000];

/** Some URLs of a push at work: begun in their order, so many at a time. */
export class PushRun {
  readonly #work: PushWork;
  readonly #place: Place;
  readonly #clock: Clock;
  readonly #pace: SharedPace | undefined;
  readonly #aborting = new AbortController();
  #begun = 0;
  #settled = false;
  #interrupted = false;
  #counts: PushCounts = NO_COUNTS;
  readonly #failures: PushFailure[] = [];

  constructor(work: PushWork, place: Place, clock: Clock) {
    this.#work = work;
    this.#place = place;
    this.#clock = clock;
    this.#pace = work.bytesPerSecond === null ? undefined : sharedPace(work.bytesPerSecond);
  }

  get push(): string {
    return this.#work.push;
  }

  get isAborted(): boolean {
    return this.#aborting.signal.aborted;
  }

  /** Resolves when all that was begun has ended, and nothing more will be. */
  async run(): Promise<void> {
    await Promise.all(Array.from({ length: this.#work.concurrency }, () => this.#runLane()));
    this.#settled = true;
  }

  /** Begins no more URLs. */
  interrupt(): void {
    this.#interrupted = true;
  }

  /** Ends those under way as well. */
  abort(): void {
    this.#interrupted = true;
    this.#aborting.abort();
  }

  report(): PushReport {
    const { push, from } = this.#work;
    return {
      push,
      from,
      through: this.#settled ? from + this.#begun : from,
      counts: this.#counts,
      failures: this.#failures,
    };
  }

  async #runLane(): Promise<void> {
    const { urls, variants } = this.#work;
    while (!this.#interrupted) {
      const url = urls[this.#begun];
      if (url === undefined) return;
      this.#begun += 1;
      for (const variant of variants) this.#count(url, await this.#placeOne({ url, variant }));
    }
  }

  async #placeOne(placement: Placement): Promise<Placed> {
    const { signal } = this.#aborting;
    for (let tries = 0; ; tries++) {
      const placed = await this.#place(placement, this.#pace, signal);
      const retryMs = RETRY_MS[tries];
      if (placed.kind !== 'failed' || !placed.isTransient || retryMs === undefined) return placed;
      if (signal.aborted) return placed;
      await delay(this.#clock, retryMs);
    }
  }

  #count(url: string, placed: Placed): void {
    const { kind } = placed;
    this.#counts = addCounts(this.#counts, {
      placed: Number(kind === 'placed'),
      fetched: Number(kind === 'placed' && placed.fetched),
      elsewhere: Number(kind === 'elsewhere'),
      failed: Number(kind === 'failed'),
      bytes: kind === 'placed' ? placed.bytes : 0,
    });
    if (kind === 'failed' && this.#failures.length < MAX_FAILURES) {
      this.#failures.push({ url, reason: placed.reason });
    }
  }
}
