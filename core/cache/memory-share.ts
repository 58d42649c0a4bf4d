/** Parts in which the budget is given out. */
const UNITS = 4096;
/** Part of an equal share that every thread keeps, whatever the others want. */
const FLOOR = 1 / 8;
/** What one thread gives the others in one tick at most. */
const STEP_UNITS = UNITS / 32;
/** What a thread gives has not been used for so many times as long as what another must let go, and a tick. */
const MARGIN = 1.25;

/** One budget of memory for the threads of a node, in memory that they share. */
export interface MemoryLedger {
  readonly budgetBytes: number;
  readonly threads: number;
  /** Units that nobody has, then those of each slot. */
  readonly units: Int32Array<SharedArrayBuffer>;
  /** Of each slot for how many ticks what it last let go had not been used; `Infinity`: it has room. */
  readonly idleTicks: Float64Array<SharedArrayBuffer>;
}

export function memoryLedger(budgetBytes: number, threads: number): MemoryLedger {
  const units = new Int32Array(new SharedArrayBuffer(4 * (threads + 1)));
  const floor = floorUnits(threads);
  units.fill(floor);
  units[FREE] = UNITS - threads * floor;
  const idleTicks = new Float64Array(new SharedArrayBuffer(8 * threads)).fill(Infinity);
  return { budgetBytes, threads, units, idleTicks };
}

const FREE = 0;
const floorUnits = (threads: number): number => Math.floor((UNITS * FLOOR) / threads);

/** What a share is for: see `BudgetedMap`. */
interface Held {
  readonly bytes: number;
  readonly idleTicks: number | undefined;
  tick(): number | undefined;
  resize(budgetBytes: number): void;
  evictNext(): void;
}

/**
 * One thread's share of the node's memory. It grows by what nobody has as long as there is any; then
 * whoever holds what has not been used for longest gives, as in one memory for all. All shares
 * together are never more than the budget.
 */
export class MemoryShare {
  readonly #ledger: MemoryLedger;
  readonly #slot: number;
  readonly #unitBytes: number;
  /** Others need it more. */
  #isGiving = false;

  /** @param slot of the thread, from 0; what one that has died had there is free again */
  constructor(ledger: MemoryLedger, slot: number) {
    this.#ledger = ledger;
    this.#slot = slot;
    this.#unitBytes = Math.floor(ledger.budgetBytes / UNITS);
    ledger.idleTicks[slot] = Infinity;
    this.#free(this.#units - floorUnits(ledger.threads));
  }

  /** What it may hold now. */
  get bytes(): number {
    return this.#units * this.#unitBytes;
  }
  /** What it would be if all were alike. */
  get equalBytes(): number {
    return Math.floor(this.#ledger.budgetBytes / this.#ledger.threads);
  }

  /** Takes of what nobody has as much as it needs. @returns what it may hold from now on */
  grow(neededBytes: number): number {
    const { units } = this.#ledger;
    const wanted = Math.ceil(neededBytes / this.#unitBytes) - this.#units;
    if (this.#isGiving || wanted <= 0) return this.bytes;
    for (;;) {
      const free = Atomics.load(units, FREE);
      const taken = Math.min(wanted, free);
      if (Atomics.compareExchange(units, FREE, free, free - taken) !== free) continue;
      Atomics.add(units, this.#slot + 1, taken);
      return this.bytes;
    }
  }

  /** Gives what others need more; called at each tick, of the same length in all threads. */
  tick(held: Held): void {
    const { idleTicks, units, threads } = this.#ledger;
    const evictedIdleTicks = held.tick();
    const shortest = Math.min(
      ...idleTicks.map((ticks, slot) => (slot === this.#slot ? Infinity : ticks)),
    );
    idleTicks[this.#slot] = evictedIdleTicks ?? Infinity;
    const enough = shortest * MARGIN + 1;
    this.#isGiving = (evictedIdleTicks ?? held.idleTicks ?? 0) > enough;
    if (shortest === Infinity || Atomics.load(units, FREE) >= STEP_UNITS) return;
    const least = Math.max(floorUnits(threads), this.#units - STEP_UNITS);
    while (held.bytes > least * this.#unitBytes && (held.idleTicks ?? 0) > enough) held.evictNext();
    const kept = Math.max(least, Math.ceil(held.bytes / this.#unitBytes));
    if (kept >= this.#units) return;
    held.resize(kept * this.#unitBytes);
    this.#free(this.#units - kept);
  }

  get #units(): number {
    return this.#ledger.units[this.#slot + 1] as number;
  }

  /** What a thread has in hand when it dies is nobody's. */
  #free(count: number): void {
    Atomics.sub(this.#ledger.units, this.#slot + 1, count);
    Atomics.add(this.#ledger.units, FREE, count);
  }
}
