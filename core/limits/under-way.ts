import { SharedTable, type TableMemory, tableMemory } from './shared-table.ts';

export const underWayMemory = (entries: number, threads: number): TableMemory =>
  tableMemory(entries, threads);

/** What is under way by key, over all threads of a process; what a thread had goes with it. */
export class UnderWay {
  readonly #table: SharedTable;
  readonly #slot: number;
  readonly #threads: number;

  /** @param slot of this thread, from 0; what one that has died left there is cleared */
  constructor(memory: TableMemory, slot: number) {
    this.#table = new SharedTable(memory);
    this.#slot = slot;
    this.#threads = memory.columns;
    this.#table.forEach((at) => {
      this.#table.words[at + slot] = 0;
      if (this.#sum(at) === 0) this.#table.keepUntil(at, 0);
    });
  }

  /** Entries that there was no room to keep. */
  get forgotten(): number {
    return this.#table.forgotten;
  }

  /** @returns whether it may begin: no more than `most` are under way then */
  begin(key: string, most: number, nowMs: number): boolean {
    const table = this.#table;
    const at = table.open(key, nowMs);
    const mayBegin = this.#sum(at) < most;
    if (mayBegin) {
      this.#add(at, 1);
      table.keepUntil(at, Infinity);
    } else if (this.#sum(at) === 0) table.keepUntil(at, 0);
    table.close();
    return mayBegin;
  }

  /** What has begun has ended. */
  end(key: string): void {
    const table = this.#table;
    const at = table.find(key);
    // It may have been forgotten.
    if (at !== -1 && (table.words[at + this.#slot] as number) > 0) {
      this.#add(at, -1);
      if (this.#sum(at) === 0) table.keepUntil(at, 0);
    }
    table.close();
  }

  #add(at: number, count: number): void {
    this.#table.words[at + this.#slot] = (this.#table.words[at + this.#slot] as number) + count;
  }

  #sum(at: number): number {
    let sum = 0;
    for (let slot = 0; slot < this.#threads; slot++) sum += this.#table.words[at + slot] as number;
    return sum;
  }
}
