import { BLOCK_BYTES } from './blocks.ts';
import type { Totals } from './ledger.ts';

export interface Budget {
  /** Of the disk for all that the store keeps there. */
  readonly budgetBytes: number;
  readonly maxFiles?: number | undefined;
  /** Of the budget for what only a purge or its expiry removes. */
  readonly reserveBytes?: number | undefined;
  /** Of the disk that are left free, whoever fills it. */
  readonly keepFreeBytes?: number | undefined;
}

/** Part of the budget up to which the index takes small bodies, and beyond which it may never grow. */
const INLINE_FRACTION = 0.5;
const INDEX_FRACTION = 0.6;
/** Part of the budget that one object may take. */
const OBJECT_FRACTION = 0.25;
/** The index's own file never shrinks. What it has beyond its records counts, but for so much. */
export const INDEX_SLACK_BYTES = 16 * 1024 * 1024;

/** What is under way to the disk beside what is there. */
export interface UnderWay {
  readonly bytes: number;
  readonly files: number;
}

/** What a store may take, as its budget and the space left on the disk have it. */
export class Limits {
  readonly #budget: Budget;
  #bytes: number;
  #indexBytes = 0;

  constructor(budget: Budget) {
    this.#budget = budget;
    this.#bytes = budget.budgetBytes;
  }

  get budgetBytes(): number {
    return this.#budget.budgetBytes;
  }
  get maxObjectBytes(): number {
    return this.#budget.budgetBytes * OBJECT_FRACTION;
  }
  get reserveBytes(): number {
    return this.#budget.reserveBytes ?? 0;
  }

  /** @param indexBytes of the index's file now */
  observeIndex(indexBytes: number): void {
    this.#indexBytes = indexBytes;
  }

  /** Takes back what others need of the disk. @param freeBytes left on it */
  observeFree(totals: Totals, freeBytes: number): void {
    const spare = freeBytes - (this.#budget.keepFreeBytes ?? 0);
    this.#bytes = Math.max(0, Math.min(this.budgetBytes, this.used(totals) + spare));
  }

  /** Others have filled the disk, so that there is no room for anything. */
  get isExhausted(): boolean {
    return this.#bytes < Math.min(BLOCK_BYTES, this.budgetBytes);
  }

  used({ fileBytes, recordBytes }: Totals): number {
    return fileBytes + Math.max(recordBytes, this.#indexBytes - INDEX_SLACK_BYTES);
  }

  /** @param fraction of the limits */
  fits(totals: Totals, underWay: UnderWay, fraction = 1): boolean {
    return (
      this.used(totals) + underWay.bytes <= this.#bytes * fraction &&
      totals.recordBytes <= this.budgetBytes * INDEX_FRACTION &&
      totals.files + underWay.files <= (this.#budget.maxFiles ?? Infinity) * fraction
    );
  }

  isIndexFull({ recordBytes }: Totals): boolean {
    return (
      Math.max(recordBytes, this.#indexBytes - INDEX_SLACK_BYTES) >
      this.budgetBytes * INLINE_FRACTION
    );
  }
}

/** Keys whose uses are remembered: one for each so many bytes of the budget. */
const BYTES_A_KEY = 16 * 1024;
const FEWEST_KEYS = 1 << 16;
const MOST_KEYS = 1 << 24;

/** How many keys to remember uses of: a power of two. */
export function rememberedKeys(budgetBytes: number): number {
  const wanted = 2 ** Math.ceil(Math.log2(budgetBytes / BYTES_A_KEY));
  return Math.min(MOST_KEYS, Math.max(FEWEST_KEYS, wanted));
}

/** Addresses for the index: the budget, and what a transaction may need beyond it. */
export const indexMapBytes = (budgetBytes: number): number => budgetBytes + 1024 * 1024 * 1024;
