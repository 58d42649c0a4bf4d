import { latestOf, type ScopeEpoch } from '#core/cache/epochs.ts';
import { Fence } from '#core/cache/fence.ts';
import type { Scope } from '#core/cache/scopes.ts';
import type { PurgeMark } from '#core/cache/store.ts';
import type { IndexDb } from './index-db.ts';
import { keyHash } from './record.ts';

const PREFIX = 'epoch ';
const FENCE = 'fence';

/** The last event of the journal that all in the index heeds; 0 in a new one. */
export const storedFence = (index: IndexDb): number =>
  (index.get(FENCE) as number | undefined) ?? 0;

/** Within a transaction. */
export function advanceFence(index: IndexDb, sequence: number): void {
  if (sequence > storedFence(index)) index.set(FENCE, sequence);
}

/** The longest unchanged first. */
export const storedEpochs = (index: IndexDb): readonly ScopeEpoch[] =>
  index
    .named(PREFIX)
    .map(({ value }) => value as ScopeEpoch)
    .toSorted((a, b) => latestOf(a.epoch) - latestOf(b.epoch));

/** Writes the epochs of purged scopes into the index: as many, and as wide, as a `Fence` keeps. */
export class DurableEpochs {
  readonly #index: IndexDb;
  readonly #maxScopes: number | undefined;
  #fence: Fence | undefined;

  /** @param maxScopes see `Fence` */
  constructor(index: IndexDb, maxScopes?: number) {
    this.#index = index;
    this.#maxScopes = maxScopes;
  }

  /** Within a transaction. */
  raise(scope: Scope, purge: PurgeMark): void {
    this.#fence ??= this.#stored();
    this.#fence.raise(scope, purge);
  }

  /** The transaction has failed: only what the index has counts. */
  undone(): void {
    this.#fence = undefined;
  }

  #stored(): Fence {
    const index = this.#index;
    const fence = new Fence(this.#maxScopes);
    fence.restore({ sequence: storedFence(index), epochs: storedEpochs(index) });
    fence.follow({
      changed: (one) => index.set(nameOf(one.scope), one),
      forgotten: ({ scope }) => index.remove(nameOf(scope)),
    });
    return fence;
  }
}

/** By a hash: LMDB takes no keys as long as the names of prefixes and tags may be. */
function nameOf(scope: Scope): string {
  const site = 'site' in scope ? scope.site : '';
  const name = 'name' in scope ? scope.name : '';
  return PREFIX + keyHash(`${scope.kind} ${site} ${name}`);
}

/** Before format 2 there were epochs of sites and of everything only, found by their plain names. */
export function renameEpochs(index: IndexDb): void {
  for (const { key, value } of index.named(PREFIX)) {
    const { scope, ...epoch } = value as ScopeEpoch['epoch'] & { readonly scope: Scope };
    index.remove(key);
    index.set(nameOf(scope), { scope, epoch } satisfies ScopeEpoch);
  }
}
