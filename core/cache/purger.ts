import type { PurgeOrder, PurgeTarget } from '#core/contract/purge.ts';
import type { PurgeReport } from '#core/contract/report.ts';
import type { Fence } from './fence.ts';
import type { FillTable } from './fill.ts';
import type { HitForMiss } from './hit-for-miss.ts';
import { type Scope, scopesOf } from './scopes.ts';
import type { ServedSite } from './served-site.ts';
import { addVolumes, NO_VOLUME, type PurgeMark, type Store } from './store.ts';
import type { Sweeper } from './sweeper.ts';
import { keysOf, Targets } from './targets.ts';

export interface PurgerOptions {
  readonly store: Store;
  readonly fence: Fence;
  readonly fills: FillTable;
  readonly hitForMiss: HitForMiss;
  readonly sweeper: Sweeper;
  /** Told of each epoch that is raised, so that it outlives the process. */
  readonly onRaise?: ((scope: Scope, purge: PurgeMark) => void) | undefined;
}

/** Applies purges to all that one thread holds or fetches. */
export class Purger {
  readonly #options: PurgerOptions;

  constructor(options: PurgerOptions) {
    this.#options = options;
  }

  /**
   * Applies one purge of the journal.
   * @param site the purge's site as configured now; without it its URLs and prefixes name nothing
   * @param at when the purge was ordered, ms since the epoch
   */
  purge(
    { mode, target }: Pick<PurgeOrder, 'mode' | 'target'>,
    site: ServedSite | undefined,
    sequence: number,
    at: number,
  ): PurgeReport {
    const { fence, fills, hitForMiss, sweeper, onRaise } = this.#options;
    const isHard = mode === 'hard' || mode === 'ban';
    const mark: PurgeMark = { sequence, mode: isHard ? 'hard' : 'soft', at };
    const keys = keysOf(target, site);
    const hit = this.#volumeOf(target, keys, mark);
    for (const scope of scopesOf(target, site)) {
      fence.raise(scope, mark);
      onRaise?.(scope, mark);
    }
    const targets = new Targets([target], () => site);
    const concerned = fills.purge((fill) => targets.has(fill), mark);
    for (const key of keys) hitForMiss.clearKey(key);
    if (target.kind !== 'urls') sweeper.wake();
    return { sequence, ...hit, fills: concerned };
  }

  /** For a node that may have missed purges while it was away: all that it holds is stale. */
  distrustAll(sequence: number, at: number): void {
    this.purge({ mode: 'soft', target: { kind: 'everything' } }, undefined, sequence, at);
  }

  /** What the purge hits; what is named by prefix or tag is not searched for, and not counted. */
  #volumeOf(
    target: PurgeTarget,
    keys: readonly string[],
    mark: PurgeMark,
  ): Pick<PurgeReport, 'objects' | 'bytes'> {
    const { store } = this.#options;
    if (target.kind === 'urls')
      return keys.map((key) => store.purge(key, mark)).reduce(addVolumes, NO_VOLUME);
    if (target.kind === 'everything') return store.volume();
    return target.kind === 'site' ? store.volume(target.site) : { objects: null, bytes: null };
  }
}
