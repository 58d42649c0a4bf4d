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

const PREFIX = 'epoch ';
const FENCE = 'fence';

/** The last event of the journal that all in the index heeds; 0 in a new one. */
export const storedFence = (index: IndexDb): number =>
  (index.get(FENCE) as number | undefined) ?? 0;

/** Within a transaction. */
export function advanceFence(index: IndexDb, sequence: number): void {
  if (sequence > storedFence(index)) index.set(FENCE, sequence);
}

export const storedEpochs = (index: IndexDb): readonly StoredEpoch[] =>
  index.named(PREFIX).map(({ value }) => value as StoredEpoch);

/** Within a transaction. */
export function raiseEpoch(index: IndexDb, scope: Scope, { sequence, mode, at }: PurgeMark): void {
  const name = PREFIX + (scope.kind === 'site' ? `site ${scope.site}` : scope.kind);
  const before = index.get(name) as StoredEpoch | undefined;
  const { hard = 0, soft = 0, softAt = 0 } = before ?? {};
  const raised: StoredEpoch =
    mode === 'hard'
      ? { scope, hard: Math.max(hard, sequence), soft, softAt }
      : { scope, hard, soft: Math.max(soft, sequence), softAt: Math.max(softAt, at) };
  index.set(name, raised);
}
