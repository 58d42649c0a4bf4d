/** No entry. */
export const NONE = -1;

/** What a cache knows of its entries, by slot. The arrays are replaced by larger ones as it grows. */
export interface Entries {
  /** Slots that the arrays hold. */
  readonly capacity: number;
  /** 32 well-spread bits of the key, by which a policy remembers what has left; signed, which V8 never boxes. */
  readonly hashes: Int32Array;
  /** What each takes of the budget. */
  readonly bytes: Float64Array;
  /** Of all together; may change at any time. */
  readonly budgetBytes: number;
}

/**
 * Decides what leaves a full cache. Entries are slots: small whole numbers that the cache gives out,
 * takes back with `remove`, and may give out again. Passes `test/contract/eviction-policy.ts`.
 */
export interface EvictionPolicy {
  /** A new entry has come; its bytes and hash are in the entries. */
  insert(slot: number): void;
  /** An entry was used. On the hit path: allocates nothing. */
  touch(slot: number): void;
  /** An entry now takes other bytes than the `before` it took. */
  resize(slot: number, before: number): void;
  /** An entry has left, by this policy's choice where `evicted`. */
  remove(slot: number, evicted: boolean): void;
  /** The entry that is to leave next, `NONE` where there is none. The caller removes it. */
  victim(): number;
  /** The entries have grown to this many slots. */
  grow(capacity: number): void;
}
