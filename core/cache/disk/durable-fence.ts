import type { PurgeMark } from '#core/cache/store.ts';
import type { IndexDb } from './index-db.ts';

/** What an epoch is of; see `Fence`. */
export type Scope =
  { readonly kind: 'everything' } | { readonly kind: 'site'; readonly site: string };

/** The latest purge of each mode of a scope. */
export interface StoredEpoch {
  readonly scope: Scope;
  readonly hard: number;
  readonly soft: number;
  /** When the latest soft purge was ordered, ms since the epoch. */
  readonly softAt: number;
}

export interface DurableFenceOptions {
  readonly index: IndexDb;
  /** A purge could not be written down yet. */
  readonly hasOwed: () => boolean;
  readonly write: (change: () => void) => void;
}

const PREFIX = 'epoch ';

/**
 * Up to where the journal is heeded by what a store holds, kept with it. For each event: every
 * thread purges keys and raises epochs; then `advance`; then the event is acknowledged. LMDB keeps
 * the order of commits over a power failure, so what is lost of it is lost from the end: a fence that
 * is found after a restart is never ahead of the purges, and the journal after it is replayed.
 */
export class DurableFence {
  readonly #options: DurableFenceOptions;

  constructor(options: DurableFenceOptions) {
    this.#options = options;
  }

  /** The last event that is heeded; 0 in a new store. */
  get sequence(): number {
    this.#options.index.refresh();
    return (this.#options.index.get('fence') as number | undefined) ?? 0;
  }

  get epochs(): readonly StoredEpoch[] {
    return this.#options.index.named(PREFIX).map(({ value }) => value as StoredEpoch);
  }

  /** Remembers a purge of all in a scope. Heeding it is up to who looks up: see `Fence.verdict`. */
  raise(scope: Scope, { sequence, mode, at }: PurgeMark): void {
    const { index, write } = this.#options;
    const name = PREFIX + (scope.kind === 'site' ? `site ${scope.site}` : scope.kind);
    write(() => {
      const before = index.get(name) as StoredEpoch | undefined;
      const { hard = 0, soft = 0, softAt = 0 } = before ?? {};
      const raised: StoredEpoch =
        mode === 'hard'
          ? { scope, hard: Math.max(hard, sequence), soft, softAt }
          : { scope, hard, soft: Math.max(soft, sequence), softAt: Math.max(softAt, at) };
      index.set(name, raised);
    });
  }

  /** @returns `false`: not yet, for a purge before it is not written down */
  advance(sequence: number): boolean {
    const { index, hasOwed, write } = this.#options;
    if (hasOwed()) return false;
    if (sequence <= this.sequence) return true;
    write(() => index.set('fence', Math.max(sequence, this.sequence)));
    return !hasOwed();
  }
}
