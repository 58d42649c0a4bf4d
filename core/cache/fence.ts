import type { PurgeMode } from '#core/contract/event.ts';
import type { Scope, StoredEpoch } from './disk/durable-fence.ts';
import type { PurgeMark } from './store.ts';

/** The latest purge of each mode that concerns everything of a site. */
interface Epoch {
  readonly hard: number;
  readonly soft: number;
  /** When the latest soft purge was ordered, ms since the epoch. */
  readonly softAt: number;
}

const NO_EPOCH: Epoch = { hard: 0, soft: 0, softAt: 0 };

/** What an epoch is checked against: an object, or a fill that will become one. */
export interface Fenced {
  readonly site: string;
  readonly asOf: number;
}

export interface Verdict {
  readonly mode: PurgeMode;
  readonly at: number;
}

/**
 * What this thread has applied of the journal. A purge with sequence S concerns content iff it
 * matches and `asOf < S`. Purges of a site raise its epoch and cost the same whatever it holds.
 */
export class Fence {
  readonly #onRaise: (scope: Scope, purge: PurgeMark) => void;
  #sequence = 0;
  readonly #sites = new Map<string, Epoch>();
  #everything: Epoch = NO_EPOCH;

  /** @param onRaise told of each epoch that is raised, so that it outlives the process */
  constructor(onRaise: (scope: Scope, purge: PurgeMark) => void = () => undefined) {
    this.#onRaise = onRaise;
  }

  /** The last event applied. */
  get sequence(): number {
    return this.#sequence;
  }

  advance(sequence: number): void {
    this.#sequence = Math.max(this.#sequence, sequence);
  }

  raiseSite(site: string, purge: PurgeMark): void {
    this.#sites.set(site, raised(this.#sites.get(site) ?? NO_EPOCH, purge));
    this.#onRaise({ kind: 'site', site }, purge);
  }

  /** For a node that may have missed purges: all that it holds counts as concerned. */
  raiseEverything(purge: PurgeMark): void {
    this.#everything = raised(this.#everything, purge);
    this.#onRaise({ kind: 'everything' }, purge);
  }

  /** Takes over what was known when the process ended, or what other threads know. */
  restore(sequence: number, epochs: readonly StoredEpoch[]): void {
    for (const { scope, ...epoch } of epochs) {
      if (scope.kind === 'site') this.#sites.set(scope.site, epoch);
      else this.#everything = epoch;
    }
    this.advance(sequence);
  }

  /** Another journal is followed from now on: of its purges nothing is known yet. */
  restart(): void {
    this.#sequence = 0;
    this.#sites.clear();
    this.#everything = NO_EPOCH;
  }

  /** The strongest epoch that concerns `content`. */
  verdict(content: Fenced): Verdict | undefined {
    const site = this.#sites.get(content.site) ?? NO_EPOCH;
    const all = this.#everything;
    if (content.asOf < site.hard || content.asOf < all.hard) return { mode: 'hard', at: 0 };
    if (content.asOf < site.soft || content.asOf < all.soft) {
      return { mode: 'soft', at: Math.max(site.softAt, all.softAt) };
    }
    return undefined;
  }
}

const raised = (epoch: Epoch, purge: PurgeMark): Epoch =>
  purge.mode === 'hard'
    ? { ...epoch, hard: Math.max(epoch.hard, purge.sequence) }
    : { ...epoch, soft: Math.max(epoch.soft, purge.sequence), softAt: purge.at };
