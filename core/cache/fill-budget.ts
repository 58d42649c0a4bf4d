/** A fill this small is kept in any case: it is gone before it matters. */
const SMALL_BYTES = 64 * 1024;

/** The memory that all fills under way in a thread may keep for those who will want them. */
export class FillBudget {
  readonly #budgetBytes: number;
  #usedBytes = 0;

  constructor(budgetBytes: number) {
    this.#budgetBytes = budgetBytes;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Takes `more` bytes for a fill that then holds `total`; `false`: so much is not left. */
  take(more: number, total: number): boolean {
    if (total > SMALL_BYTES && this.#usedBytes + more > this.#budgetBytes) return false;
    this.#usedBytes += more;
    return true;
  }

  giveBack(bytes: number): void {
    this.#usedBytes -= bytes;
  }
}

/** One fill's part of the budget. */
export class Reservation {
  readonly #budget: FillBudget;
  #bytes = 0;

  constructor(budget: FillBudget) {
    this.#budget = budget;
  }

  /** Makes it cover `bytes` in all; `false`: so much is not left. */
  cover(bytes: number): boolean {
    if (bytes <= this.#bytes) return true;
    if (!this.#budget.take(bytes - this.#bytes, bytes)) return false;
    this.#bytes = bytes;
    return true;
  }

  giveBack(): void {
    this.#budget.giveBack(this.#bytes);
    this.#bytes = 0;
  }
}
