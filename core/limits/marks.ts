import { SharedTable, type TableMemory, tableMemory } from './shared-table.ts';

/** A word of milliseconds would be full after a month. */
const UNIT_MS = 100;

export const marksMemory = (entries: number): TableMemory => tableMemory(entries, 1);

/** What is so until some time, by key, for all threads of a process. */
export class Marks {
  readonly #table: SharedTable;

  constructor(memory: TableMemory) {
    this.#table = new SharedTable(memory);
  }

  /** Entries that there was no room to keep. */
  get forgotten(): number {
    return this.#table.forgotten;
  }

  /** From now on for `forMs`. @param nowMs `Clock.monotonicMs` */
  set(key: string, forMs: number, nowMs: number): void {
    const table = this.#table;
    const at = table.open(key, nowMs);
    table.words[at] = Math.ceil((nowMs + forMs) / UNIT_MS);
    table.keepUntil(at, nowMs + forMs);
    table.close();
  }

  /** For how much longer, ms; 0: not at all. */
  leftMs(key: string, nowMs: number): number {
    const table = this.#table;
    const at = table.find(key);
    const untilMs = at === -1 ? 0 : (table.words[at] as number) * UNIT_MS;
    table.close();
    return Math.max(0, untilMs - nowMs);
  }
}
