import type { StoredObject } from './object.ts';

export interface Volume {
  readonly objects: number;
  /** Bytes of the budget that they take. */
  readonly bytes: number;
}

/** A purge as a store needs to know it: its place in the journal decides whom it concerns. */
export interface PurgeMark {
  readonly sequence: number;
  readonly mode: 'hard' | 'soft';
  /** When it was ordered, ms since the epoch. */
  readonly at: number;
}

/** Where objects are kept. Every implementation passes `test/contract/object-store.ts`. */
export interface ObjectStore {
  /** The variants under a key, latest first. A use: it counts for what is evicted next. */
  lookup(key: string): readonly StoredObject[];
  /**
   * Stores a variant in place of the one it equals in key and selector.
   * @param maxVariants kept under one key, `DEFAULT_MAX_VARIANTS` where left out; beyond it the oldest goes
   * @returns `false`: larger than the store takes
   */
  put(object: StoredObject, maxVariants?: number): boolean;
  /** Drops one variant. */
  drop(object: StoredObject): void;
  /** Drops the variants under a key whose selector begins with `selector`: every one where it is left out. */
  delete(key: string, selector?: string): Volume;
  /** Applies a purge to the variants under a key whose `asOf` is before it; what it hit. */
  purge(key: string, purge: PurgeMark): Volume;
  /** Drops objects that `isPurged` names, a bounded batch at a time, without counting as use. */
  sweep(isPurged: (object: StoredObject) => boolean): Promise<void>;
  /** All that is stored, or all of one site. */
  volume(site?: string): Volume;
}
