import { Rows } from './rows.ts';
import type { Samples } from './samples.ts';

/** Parents with metrics of their own; all others share those of `_other`. */
const MAX_PARENTS = 200;

/**
 * How requests to a parent end: the class of its status, or why it gave no answer (see `TryReason`).
 * `abandoned`: nobody wanted it any more.
 */
const RESULTS = [
  '1xx',
  '2xx',
  '3xx',
  '4xx',
  '5xx',
  'refused',
  'busy',
  'reset',
  'timeout',
  'down',
  'invalid',
  'status',
  'failed',
  'outpaced',
  'abandoned',
] as const;

export type UpstreamResult = (typeof RESULTS)[number];

/** Requests to each parent in one thread since it started. */
export class UpstreamCounters {
  readonly #parents = new Rows(RESULTS.length, MAX_PARENTS);
  /** Sent, whether or not they have ended. */
  requests = 0;

  /** Counts those of each of `parents` by itself from now on, as far as there is room. */
  name(parents: Iterable<string>): void {
    this.#parents.name(parents);
  }

  /** @param how it ended, an answer by its status */
  tried(parent: string, how: UpstreamResult | number): void {
    const index = typeof how === 'number' ? Math.floor(how / 100) - 1 : RESULTS.indexOf(how);
    const row = this.#parents.row(parent);
    row[index] = (row[index] ?? 0) + 1;
  }

  sample(samples: Samples): void {
    for (const [parent, row] of this.#parents) {
      for (const [i, result] of RESULTS.entries()) {
        const count = row[i] ?? 0;
        if (count > 0) samples.add('canopy_upstream_requests_total', count, parent, result);
      }
    }
  }
}
