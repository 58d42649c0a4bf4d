import { latestOf, type ScopeEpoch } from '#core/cache/epochs.ts';
import { Fence } from '#core/cache/fence.ts';
import type { Scope } from '#core/cache/scopes.ts';
import type { PurgeMark } from '#core/cache/store.ts';
import type { IndexDb } from './index-db.ts';
import { keyHash } from './record.ts';

/** What the threads of a node begin with. */
export interface StoredFence {
  /** The journal that `asOf`, epochs and `sequence` are of; `undefined`: none was followed yet. */
  readonly journal: string | undefined;
  /** The last event of it that all in the index heeds. */
  readonly sequence: number;
  /** The longest unchanged first. */
  readonly epochs: readonly ScopeEpoch[];
}

const PREFIX = 'epoch ';
const FENCE = 'fence';
const JOURNAL = 'journal';
const ERA = 'era';

/** The last event of the journal that all in the index heeds; 0 in a new one. */
export const storedFence = (index: IndexDb): number =>
  (index.get(FENCE) as number | undefined) ?? 0;

/** Journals that were followed before this one. */
const storedEra = (index: IndexDb): number => (index.get(ERA) as number | undefined) ?? 0;

/** Within a transaction. */
export function advanceFence(index: IndexDb, sequence: number): void {
  if (sequence > storedFence(index)) index.set(FENCE, sequence);
}

/** The longest unchanged first. */
export const storedEpochs = (index: IndexDb): readonly ScopeEpoch[] =>
  inOrder(index.named(PREFIX).map(({ value }) => value as ScopeEpoch));

const inOrder = (epochs: readonly ScopeEpoch[]): readonly ScopeEpoch[] =>
  epochs.toSorted((a, b) => latestOf(a.epoch) - latestOf(b.epoch));

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

  /** Forgets an epoch that concerns nothing any more, unless it was raised since. Within a transaction. */
  forget(one: ScopeEpoch): void {
    this.#fence ??= this.#stored();
    this.#fence.forgetAlike(one);
  }

  /**
   * Follows another journal from its start, within a transaction. Of what its purges concern nothing
   * is known, so that all that is stored is stale.
   */
  follow(journal: string, at: number): void {
    const index = this.#index;
    const before = index.get(JOURNAL) as string | undefined;
    if (before === journal) return;
    index.set(JOURNAL, journal);
    if (before === undefined) return;
    for (const { key } of index.named(PREFIX)) index.remove(key);
    index.set(FENCE, 0);
    index.set(ERA, storedEra(index) + 1);
    this.#fence = undefined;
    this.raise({ kind: 'everything' }, distrust(at));
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

/** Any event of a journal is later than what is known of content of another: nothing, so 0. */
const distrust = (at: number): PurgeMark => ({ sequence: 1, mode: 'soft', at });

/** What the keeper was told of the fence, whether or not it could be written down yet. */
export class ToldFence {
  readonly #index: IndexDb;
  #fence = new Fence();
  #journal: string | undefined;
  #era: number;

  constructor(index: IndexDb) {
    this.#index = index;
    this.#fence.restore({ sequence: 0, epochs: storedEpochs(index) });
    this.#journal = index.get(JOURNAL) as string | undefined;
    this.#era = storedEra(index);
  }

  /** Which of the journals that were followed, from 0, is followed now. */
  get era(): number {
    return this.#era;
  }
  /** The fence is the stored one: no more counts as heeded. */
  get stored(): StoredFence {
    const isWritten = this.#index.get(JOURNAL) === this.#journal;
    return {
      journal: this.#journal,
      sequence: isWritten ? storedFence(this.#index) : 0,
      epochs: inOrder(this.#fence.epochs),
    };
  }

  raise(scope: Scope, purge: PurgeMark): void {
    this.#fence.raise(scope, purge);
  }

  forget(one: ScopeEpoch): void {
    this.#fence.forgetAlike(one);
  }

  /** @returns `false`: it is followed already */
  follow(journal: string, at: number): boolean {
    const before = this.#journal;
    if (before === journal) return false;
    this.#journal = journal;
    if (before === undefined) return true;
    this.#fence = new Fence();
    this.#era++;
    this.raise({ kind: 'everything' }, distrust(at));
    return true;
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
