import type { EvictionReason } from '#core/cache/store.ts';
import type { Counter, SharedState } from './shared.ts';

/** What a transaction evicts, counted only once it is committed. */
export class Counts {
  readonly #counts: { readonly counter: Counter; readonly by: number }[] = [];

  get any(): boolean {
    return this.#counts.length > 0;
  }
  add(reason: EvictionReason, objects: number, bytes: number): void {
    this.#counts.push({ counter: reason, by: objects }, { counter: 'evictedBytes', by: bytes });
  }
  write(shared: SharedState, row: number): void {
    for (const { counter, by } of this.#counts) shared.count(row, counter, by);
  }
}
