import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { getHeapStatistics } from 'node:v8';
import type { Samples } from './samples.ts';

/** How often the delay of the event loop is looked at. */
const RESOLUTION_MS = 20;

/** What one thread takes of the machine. */
export class ThreadMeter {
  readonly #thread: string;
  readonly #delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });

  constructor(slot: number) {
    this.#thread = String(slot);
    this.#delay.enable();
  }

  /** @param restart the delay is of the time since the last sample taken so */
  sample(samples: Samples, restart: boolean): void {
    const thread = this.#thread;
    const activeMs = performance.eventLoopUtilization().active;
    // What it measures is how long its own timer took.
    const delayMs = this.#delay.count === 0 ? 0 : this.#delay.percentile(99) / 1e6 - RESOLUTION_MS;
    samples.add('canopy_thread_loop_active_seconds_total', activeMs / 1000, thread);
    samples.add('canopy_thread_loop_delay_seconds', Math.max(0, delayMs / 1000), thread);
    samples.add('canopy_thread_heap_bytes', getHeapStatistics().used_heap_size, thread);
    if (restart) this.#delay.reset();
  }
}
