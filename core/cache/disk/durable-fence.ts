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

/** What the threads of a node begin with. */
export interface StoredFence {
  /** The journal that `asOf`, epochs and `sequence` are of; `undefined`: none was followed yet. */
  readonly journal: string | undefined;
  /** The last event of it that all in the index heeds. */
  readonly sequence: number;
  readonly epochs: readonly StoredEpoch[];
}

const PREFIX = 'epoch ';
const FENCE = 'fence';
const JOURNAL = 'journal';
const ERA = 'era';

/** The last event of the journal that all in the index heeds; 0 in a new one. */
export const storedFence = (index: IndexDb): number =>
  (index.get(FENCE) as number | undefined) ?? 0;

/** Journals that were followed before this one. */
export const storedEra = (index: IndexDb): number => (index.get(ERA) as number | undefined) ?? 0;

/** Within a transaction. */
export function advanceFence(index: IndexDb, sequence: number): void {
  if (sequence > storedFence(index)) index.set(FENCE, sequence);
}

export const storedEpochs = (index: IndexDb): readonly StoredEpoch[] =>
  index.named(PREFIX).map(({ value }) => value as StoredEpoch);

/** Within a transaction. */
export function raiseEpoch(index: IndexDb, scope: Scope, purge: PurgeMark): void {
  const name = nameOf(scope);
  index.set(name, raisedEpoch(index.get(name) as StoredEpoch | undefined, scope, purge));
}

/**
 * Follows another journal from its start, within a transaction. Of what the purges of that one concern
 * nothing is known, so that all that is stored is stale.
 */
export function followJournal(index: IndexDb, journal: string, at: number): void {
  const before = index.get(JOURNAL) as string | undefined;
  if (before === journal) return;
  index.set(JOURNAL, journal);
  if (before === undefined) return;
  for (const { key } of index.named(PREFIX)) index.remove(key);
  index.set(FENCE, 0);
  index.set(ERA, storedEra(index) + 1);
  raiseEpoch(index, { kind: 'everything' }, distrust(at));
}

/** Any event of a journal is later than what is known of content of another: nothing, so 0. */
const distrust = (at: number): PurgeMark => ({ sequence: 1, mode: 'soft', at });

/** What the keeper was told of the fence, whether or not it could be written down yet. */
export class ToldFence {
  readonly #index: IndexDb;
  readonly #epochs: Map<string, StoredEpoch>;
  #journal: string | undefined;
  #era: number;

  constructor(index: IndexDb) {
    this.#index = index;
    this.#epochs = new Map(storedEpochs(index).map((epoch) => [nameOf(epoch.scope), epoch]));
    this.#journal = index.get(JOURNAL) as string | undefined;
    this.#era = storedEra(index);
  }

  get era(): number {
    return this.#era;
  }
  /** The fence is the stored one: no more counts as heeded. */
  get stored(): StoredFence {
    const isWritten = this.#index.get(JOURNAL) === this.#journal;
    return {
      journal: this.#journal,
      sequence: isWritten ? storedFence(this.#index) : 0,
      epochs: [...this.#epochs.values()],
    };
  }

  raise(scope: Scope, purge: PurgeMark): void {
    const name = nameOf(scope);
    this.#epochs.set(name, raisedEpoch(this.#epochs.get(name), scope, purge));
  }

  /** @returns `false`: it is followed already */
  follow(journal: string, at: number): boolean {
    const before = this.#journal;
    if (before === journal) return false;
    this.#journal = journal;
    if (before === undefined) return true;
    this.#epochs.clear();
    this.#era++;
    this.raise({ kind: 'everything' }, distrust(at));
    return true;
  }
}

const nameOf = (scope: Scope): string =>
  PREFIX + (scope.kind === 'site' ? `site ${scope.site}` : scope.kind);

function raisedEpoch(
  before: StoredEpoch | undefined,
  scope: Scope,
  { sequence, mode, at }: PurgeMark,
): StoredEpoch {
  const { hard = 0, soft = 0, softAt = 0 } = before ?? {};
  return mode === 'hard'
    ? { scope, hard: Math.max(hard, sequence), soft, softAt }
    : { scope, hard, soft: Math.max(soft, sequence), softAt: Math.max(softAt, at) };
}
