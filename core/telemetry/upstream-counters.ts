import { Rows } from './rows.ts';
import type { Samples } from './samples.ts';

/** Parents with metrics of their own; all others share those of `_other`. */
const MAX_PARENTS = 200;

/** How requests to a parent end: the class of its status, or how it failed. `aborted`: nobody wanted it any more. */
const RESULTS = [
  '1xx',
  '2xx',
  '3xx',
  '4xx',
  '5xx',
  'unreachable',
  'timeout',
  'invalid',
  'aborted',
] as const;

export type UpstreamResult = (typeof RESULTS)[number];

/** Requests to each parent in one thread since it started. */
export class UpstreamCounters {
  readonly #parents = new Rows(RESULTS.length, MAX_PARENTS);
  requests = 0;

  /** Counts those of each of `parents` by itself from now on, as far as there is room. */
  name(parents: Iterable<string>): void {
    this.#parents.name(parents);
  }

  answered(parent: string, status: number): void {
    this.#count(parent, Math.floor(status / 100) - 1);
  }

  failed(parent: string, how: UpstreamResult): void {
    this.#count(parent, RESULTS.indexOf(how));
  }

  sample(samples: Samples): void {
    for (const [parent, row] of this.#parents) {
      for (const [i, result] of RESULTS.entries()) {
        const count = row[i] ?? 0;
        if (count > 0) samples.add('canopy_upstream_requests_total', count, parent, result);
      }
    }
  }

  #count(parent: string, index: number): void {
    const row = this.#parents.row(parent);
    row[index] = (row[index] ?? 0) + 1;
    this.requests++;
  }
}
