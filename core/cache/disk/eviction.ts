import type { Left } from './counts.ts';
import type { IndexDb } from './index-db.ts';
import type { Ledger, Queue, Totals } from './ledger.ts';
import { keyHash, shortHash } from './record.ts';
import type { SharedState } from './shared.ts';

/** What new objects may take of the space before they have to prove themselves. */
const SMALL_FRACTION = 0.1;
/** Records looked at at once; and at most in one transaction, so that others get their turn. */
const BATCH = 32;
const MOST_STEPS = 1024;

/** Numbers that records are given, each later in its queue than all before. */
export class Sequence {
  readonly #next: Record<Queue, number>;

  constructor(index: IndexDb) {
    this.#next = {
      small: index.last('small'),
      main: index.last('main'),
      reserve: index.last('reserve'),
    };
  }

  take(queue: Queue): number {
    return this.#next[queue]++;
  }
}

/**
 * Makes room in the way of S3-FIFO (Yang et al., SOSP 2023): what is new stands in a small queue,
 * which it leaves for the main one if it was used, and else for good; in the main queue whatever
 * was used stands in line again. A use costs a write only when the line has come to it.
 * @param fits whether there is room enough
 * @param evicted told of each object that goes
 * @returns `false`: there is not, though all that may go has gone, or others are to have their turn
 */
export function makeRoom(
  index: IndexDb,
  shared: SharedState,
  sequence: Sequence,
  ledger: Ledger,
  fits: (totals: Totals) => boolean,
  evicted: (left: Left) => void,
): boolean {
  let steps = 0;
  while (!fits(ledger.totals)) {
    const queue = nextQueue(ledger.totals);
    if (queue === undefined || steps >= MOST_STEPS) return false;
    for (const id of index.first(queue, BATCH)) {
      if (fits(ledger.totals) || queue !== nextQueue(ledger.totals)) break;
      steps++;
      const entry = index.at(id);
      if (entry === undefined) {
        index.discard(id);
        continue;
      }
      const hash = keyHash(entry.record.key);
      const short = shortHash(hash);
      if (shared.takeUse(short)) {
        index.replace(ledger, hash, entry, { id: sequence.take('main'), record: entry.record });
        continue;
      }
      if (queue === 'small') shared.addGhost(short);
      const { fileBytes, recordBytes } = ledger.totals;
      index.replace(ledger, hash, entry, undefined);
      const after = ledger.totals;
      const { site, variants } = entry.record;
      const bytes = fileBytes + recordBytes - after.fileBytes - after.recordBytes;
      evicted({ site, objects: variants.length, bytes });
    }
  }
  return true;
}

function nextQueue({ queued: { small, main } }: Totals): 'small' | 'main' | undefined {
  if (small > (small + main) * SMALL_FRACTION) return 'small';
  return main > 0 ? 'main' : small > 0 ? 'small' : undefined;
}

/** Where a key stands that the store does not have yet. */
export const queueFor = (shared: SharedState, short: number): Queue =>
  shared.takeGhost(short) ? 'main' : 'small';
