import type { Cancel, Clock } from '#core/clock.ts';
import { latestOf, type ScopeEpoch } from './epochs.ts';
import type { Fence } from './fence.ts';
import type { FillTable } from './fill.ts';
import type { Store } from './store.ts';

/** Between two sweeps, at least; and so many times as long as the last one took. */
const PAUSE_MS = 10_000;
const PAUSE_FACTOR = 20;
/** Pauses until it looks again whether epochs that concerned something still do. */
const LOOK_AGAIN = 10;

export interface SweeperOptions {
  readonly clock: Clock;
  readonly store: Store;
  readonly fence: Fence;
  readonly fills: Pick<FillTable, 'oldestAsOf'>;
  /** Told of each epoch that is forgotten, so that it is elsewhere, too. */
  readonly onForget?: ((one: ScopeEpoch) => void) | undefined;
}

/**
 * Goes over the store after purges that were not searched for. It frees the space of what must never
 * be served again, and lets the fence forget the epochs that concern nothing any more. No lookup
 * depends on whether it has come by.
 */
export class Sweeper {
  readonly #options: SweeperOptions;
  #isWanted = false;
  #isResting = false;
  #cancelLook: Cancel = () => undefined;

  constructor(options: SweeperOptions) {
    this.#options = options;
  }

  /** An epoch was raised. */
  wake(): void {
    this.#isWanted = true;
    if (!this.#isResting) void this.#run();
  }

  async #run(): Promise<void> {
    const { clock, fence } = this.#options;
    this.#isResting = true;
    this.#isWanted = false;
    this.#cancelLook();
    const startedAtMs = clock.monotonicMs();
    await this.sweep();
    const tookMs = clock.monotonicMs() - startedAtMs;
    const pauseMs = Math.max(PAUSE_MS, PAUSE_FACTOR * tookMs);
    clock.after(pauseMs, () => {
      this.#isResting = false;
      if (this.#isWanted) this.wake();
    });
    if (fence.epochs.length === 0) return;
    this.#cancelLook = clock.after(LOOK_AGAIN * pauseMs, () => this.wake());
  }

  /** Goes over all that is stored once. */
  async sweep(): Promise<void> {
    const { store, fence, fills, onForget } = this.#options;
    // What is fetched already may be stored behind the sweep's back; what begins now is later than
    // every epoch there is.
    // So may what other threads have, until all of them heed the epoch.
    const oldest = Math.min(fills.oldestAsOf, store.fence);
    const epochs = fence.epochs;
    const alive = new Set<ScopeEpoch>();
    await store.sweep((object) => {
      const concerning = fence.concerning(object);
      if (concerning.some(({ epoch }) => object.asOf < epoch.hard)) return true;
      for (const one of concerning) alive.add(one);
      return false;
    });
    const idle = epochs.filter((one) => !alive.has(one) && latestOf(one.epoch) <= oldest);
    for (const one of idle) {
      fence.forget(one);
      onForget?.(one);
    }
  }
}
