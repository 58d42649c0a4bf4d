import { setImmediate as nextTurn } from 'node:timers/promises';
import type { MessagePort } from 'node:worker_threads';
import type { Counts } from './counts.ts';
import { makeRoom, type Sequence } from './eviction.ts';
import { Grants } from './grants.ts';
import type { IndexDb } from './index-db.ts';
import type { Ledger, Totals } from './ledger.ts';
import type { Limits, UnderWay } from './limits.ts';
import type { SharedState } from './shared.ts';

/** Parts of the limits at which room is made ahead of need, and up to which. */
const HIGH = 0.98;
const LOW = 0.96;

export interface RoomOptions {
  readonly index: IndexDb;
  readonly shared: SharedState;
  readonly sequence: Sequence;
  readonly limits: Limits;
  /** Makes a change of the index. @throws what LMDB says where it cannot be written */
  readonly change: <T>(work: (ledger: Ledger, counts: Counts) => T) => T;
  /** Told of what `change` throws. */
  readonly failed: (error: unknown) => void;
  /** Nothing is evicted any more. */
  readonly isClosed: () => boolean;
}

/** The room of a disk store: what threads are promised of it, and what is evicted for that. */
export class Room {
  readonly #options: RoomOptions;
  readonly #grants = new Grants();

  constructor(options: RoomOptions) {
    this.#options = options;
  }

  /** A thread writes, which orders by `port`. */
  open(port: MessagePort): void {
    this.#grants.open(port);
  }
  close(port: MessagePort): void {
    this.#grants.close(port);
  }
  ports(): readonly MessagePort[] {
    return this.#grants.ports();
  }

  /** What threads were promised for files that are not committed. */
  get underWay(): UnderWay {
    return this.#grants.underWay;
  }

  /** Promises a thread so many bytes. @param opens see `Grants` @returns `false`: there is no room */
  async grant(port: MessagePort, bytes: number, opens: boolean): Promise<boolean> {
    // Counted before there is room, so that no two are promised the same.
    this.#grants.give(port, bytes, opens);
    if (await this.#make()) return true;
    this.#grants.takeBack(port, bytes, opens);
    return false;
  }

  giveBack(port: MessagePort, bytes: number): void {
    this.#grants.giveBack(port, bytes);
  }

  async makeAhead(): Promise<void> {
    const { limits, index } = this.#options;
    if (limits.fits(index.totals, this.underWay, HIGH)) return;
    await this.#make(LOW);
  }

  /** Evicts, a bounded number at a time, until there is room for what is under way. */
  async #make(fraction = 1): Promise<boolean> {
    const { index, shared, sequence, limits, change, failed, isClosed } = this.#options;
    const fits = (totals: Totals): boolean => limits.fits(totals, this.underWay, fraction);
    for (;;) {
      if (isClosed() || shared.isRefusing) return false;
      if (fits(index.totals)) return true;
      try {
        const { isMade, any } = change((ledger, counts) => ({
          isMade: makeRoom(index, shared, sequence, ledger, fits, (left) =>
            counts.add('capacity', left),
          ),
          any: counts.any,
        }));
        if (isMade) return true;
        if (!any) return false;
      } catch (error) {
        failed(error);
        return false;
      }
      await nextTurn();
    }
  }
}
