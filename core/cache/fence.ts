import type { PurgeMode } from '#core/contract/event.ts';
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
  #sequence = 0;
  readonly #sites = new Map<string, Epoch>();
  #everything: Epoch = NO_EPOCH;

  /** The last event applied. */
  get sequence(): number {
    return this.#sequence;
  }

  advance(sequence: number): void {
    this.#sequence = Math.max(this.#sequence, sequence);
  }

  raiseSite(site: string, purge: PurgeMark): void {
    this.#sites.set(site, raised(this.#sites.get(site) ?? NO_EPOCH, purge));
  }

  /** For a node that may have missed purges: all that it holds counts as concerned. */
  raiseEverything(purge: PurgeMark): void {
    this.#everything = raised(this.#everything, purge);
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
