import { SharedTable, type TableMemory, tableMemory } from './shared-table.ts';

/** Parts of a window that are counted each: what was admitted is forgotten a part late at most. */
const PARTS = 10;
/** Any time as long as the window lies in so many parts. */
const COUNTED = PARTS + 1;

/** At most so many in any time of that length. */
export interface Quota {
  readonly requests: number;
  readonly windowMs: number;
}

export interface Taken {
  readonly isAdmitted: boolean;
  /** How many more would be admitted now. */
  readonly remaining: number;
  /** In how long there will be more. */
  readonly moreAfterMs: number;
}

/** @param entries keys that are counted at a time; beyond, those are forgotten that end next */
export const windowsMemory = (entries: number): TableMemory => tableMemory(entries, 1 + COUNTED);

/**
 * Counts by key what was admitted in the latest time, over all threads of a process: never more than
 * the quota in any time of the window's length, and up to a tenth of the window longer than that for
 * each to be forgotten.
 */
export class SlidingWindows {
  readonly #table: SharedTable;

  constructor(memory: TableMemory) {
    this.#table = new SharedTable(memory);
  }

  /** Entries that there was no room to keep. */
  get forgotten(): number {
    return this.#table.forgotten;
  }

  /** Counts one if the quota lets it. @param nowMs `Clock.monotonicMs` */
  take(key: string, { requests, windowMs }: Quota, nowMs: number): Taken {
    const table = this.#table;
    const { words } = table;
    const partMs = windowMs / PARTS;
    const at = table.open(key, nowMs);
    const counts = at + 1;
    const last = words[at] as number;
    // Another thread may have looked at the clock a little later.
    const part = Math.max(Math.floor(nowMs / partMs), last);
    const passed = Math.min(part - last, COUNTED);
    for (let i = 1; i <= passed; i++) words[counts + ((last + i) % COUNTED)] = 0;
    words[at] = part;
    let admitted = 0;
    let oldest = part;
    for (let past = 0; past < COUNTED && past <= part; past++) {
      const count = words[counts + ((part - past) % COUNTED)] as number;
      admitted += count;
      if (count > 0) oldest = part - past;
    }
    const isAdmitted = admitted < requests;
    if (isAdmitted) {
      words[counts + (part % COUNTED)] = (words[counts + (part % COUNTED)] as number) + 1;
      admitted++;
      table.keepUntil(at, (part + COUNTED) * partMs);
    }
    table.close();
    const moreAfterMs = (oldest + COUNTED) * partMs - nowMs;
    return { isAdmitted, remaining: Math.max(0, requests - admitted), moreAfterMs };
  }
}
