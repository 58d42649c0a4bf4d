import type { EvictionReason, Tally } from '#core/cache/tally.ts';
import type { SharedState } from './shared.ts';

/** Objects that leave. */
export interface Left {
  readonly site: string;
  readonly objects: number;
  readonly bytes: number;
}

/** What a transaction evicts, counted only once it is committed. */
export class Counts {
  readonly #counts: (Left & { readonly reason: EvictionReason })[] = [];

  get any(): boolean {
    return this.#counts.length > 0;
  }
  add(reason: EvictionReason, left: Left): void {
    if (left.objects > 0) this.#counts.push({ reason, ...left });
  }
  write(shared: SharedState, row: number, tally: Tally): void {
    for (const { reason, site, objects, bytes } of this.#counts) {
      shared.count(row, reason, objects);
      shared.count(row, 'evictedBytes', bytes);
      tally.count(site, reason, objects);
      tally.count(site, 'evictedBytes', bytes);
    }
  }
}
