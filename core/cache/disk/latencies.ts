import { performance } from 'node:perf_hooks';
import { Latencies } from '#core/telemetry/latencies.ts';
import type { Samples } from '#core/telemetry/samples.ts';

const OPERATIONS = [
  /** Of a key in the index. */
  'lookup',
  /** Of a piece of a file, 256 KiB at most. */
  'read',
  /** Of a piece of a file, 64 KiB. */
  'write',
  /** Of an object into the index, the wait for the keeper included. */
  'commit',
] as const;
type Operation = (typeof OPERATIONS)[number];

/** How long one thread waits for the disk. */
export class DiskLatencies {
  readonly #by = new Map(OPERATIONS.map((operation) => [operation, new Latencies()]));

  /** Takes the time until what `work` gives is settled. */
  async timed<T>(operation: Operation, work: () => Promise<T>): Promise<T> {
    const start = performance.now();
    try {
      return await work();
    } finally {
      this.#observe(operation, start);
    }
  }

  timedSync<T>(operation: Operation, work: () => T): T {
    const start = performance.now();
    try {
      return work();
    } finally {
      this.#observe(operation, start);
    }
  }

  sample(samples: Samples): void {
    for (const [operation, latencies] of this.#by) {
      latencies.sample(samples, 'canopy_disk_seconds', operation);
    }
  }

  #observe(operation: Operation, start: number): void {
    this.#by.get(operation)?.observe(performance.now() - start);
  }
}
