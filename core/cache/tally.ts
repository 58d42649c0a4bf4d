import { OTHER } from '#core/telemetry/rows.ts';

/** Why an object left a store. */
export const EVICTION_REASONS = [
  'capacity',
  'expired',
  'purged',
  'replaced',
  'variants',
  'released',
  'damaged',
] as const;
export type EvictionReason = (typeof EVICTION_REASONS)[number];

/** What a store counts, in the order in which it lies in a row. */
export const COUNTED = [
  'hits',
  'hitBytes',
  'stored',
  'storedBytes',
  'refused',
  'evictedBytes',
  ...EVICTION_REASONS,
] as const;
export type Counted = (typeof COUNTED)[number];

export type TallyRow = Float64Array;

/** Sites with counts of their own: all others, so that memory is bounded, share those of `_other`. */
const MOST_SITES = 10_000;
const PLACE = Object.fromEntries(COUNTED.map((what, i) => [what, i])) as Record<Counted, number>;

/** What one tier of storage has done since it was opened, by site. Counting in a row allocates nothing. */
export class Tally {
  readonly #rows = new Map<string, TallyRow>();

  row(site: string): TallyRow {
    const name = this.#rows.size < MOST_SITES || this.#rows.has(site) ? site : OTHER;
    let row = this.#rows.get(name);
    if (row === undefined) this.#rows.set(name, (row = new Float64Array(COUNTED.length)));
    return row;
  }

  count(site: string, what: Counted, by = 1): void {
    countIn(this.row(site), what, by);
  }

  /** Of all sites together. */
  total(what: Counted): number {
    let total = 0;
    for (const row of this.#rows.values()) total += countOf(row, what);
    return total;
  }

  /** How many left, for each reason. */
  evicted(): Readonly<Record<EvictionReason, number>> {
    const entries = EVICTION_REASONS.map((reason) => [reason, this.total(reason)] as const);
    return Object.fromEntries(entries) as Record<EvictionReason, number>;
  }

  *[Symbol.iterator](): IterableIterator<readonly [string, Counted, number]> {
    for (const [site, row] of this.#rows) {
      for (const [i, what] of COUNTED.entries()) {
        const count = row[i] as number;
        if (count > 0) yield [site, what, count];
      }
    }
  }
}

const countOf = (row: TallyRow, what: Counted): number => row[PLACE[what]] as number;

export function countIn(row: TallyRow, what: Counted, by = 1): void {
  const at = PLACE[what];
  row[at] = (row[at] as number) + by;
}
