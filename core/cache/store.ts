import type { Body } from './body.ts';
import type { HeldObject, StoredBody, StoredObject } from './object.ts';
import type { EvictionReason, Tally } from './tally.ts';

export interface Volume {
  readonly objects: number;
  /** Bytes of the budget that they take. */
  readonly bytes: number;
}

export const NO_VOLUME: Volume = { objects: 0, bytes: 0 };

export const addVolumes = (a: Volume, b: Volume): Volume => ({
  objects: a.objects + b.objects,
  bytes: a.bytes + b.bytes,
});

/** A purge as a store needs to know it: its place in the journal decides whom it concerns. */
export interface PurgeMark {
  readonly sequence: number;
  readonly mode: 'hard' | 'soft';
  /** When it was ordered, ms since the epoch. */
  readonly at: number;
}

/** What a store has and has done since it was opened. Plain counters. */
export interface StoreStats {
  readonly tier: 'memory' | 'disk';
  readonly policy: string;
  readonly objects: number;
  readonly bytes: number;
  readonly budgetBytes: number;
  readonly lookups: number;
  readonly hits: number;
  readonly hitBytes: number;
  readonly stored: number;
  readonly storedBytes: number;
  readonly refused: number;
  readonly evicted: Readonly<Record<EvictionReason, number>>;
  readonly evictedBytes: number;
}

/** What a tier of storage has done for each site, by this thread alone. */
export interface StoreTally {
  readonly tier: StoreStats['tier'];
  readonly tally: Tally;
  /** What all threads have of the site. */
  readonly volume: (site: string) => Volume;
}

/** How long and where an object is kept. */
export interface Keeping {
  /** Kept under one key, `DEFAULT_MAX_VARIANTS` where left out; beyond it the oldest goes. */
  readonly maxVariants?: number | undefined;
  /** Another thread of the node sees to what lasts, so that memory is enough. */
  readonly memoryOnly?: boolean | undefined;
  /** Into the reserve, where the store has one with room for it. */
  readonly reserved?: boolean | undefined;
  /** From when on it may be dropped as of no more use, ms since the epoch. */
  readonly expiresAt?: number | undefined;
}

/** An object whose content is still to come. */
export type Draft = Pick<StoredObject, 'key' | 'site'>;

/** One object on its way into a store. Whoever has one calls `commit` or `abandon` in the end. */
export interface Writer {
  /** All that it takes stays in memory until `commit`. */
  readonly holdsAll: boolean;
  /** Takes the next piece. @returns where the store falls behind, what to wait for before the next */
  write(chunk: Buffer): Promise<void> | undefined;
  /**
   * Ends the content; nobody finds any of it before.
   * @returns `false`: not stored, for want of room, because the store failed, or because its key
   * was purged or deleted after `reserve`
   */
  commit(object: Omit<StoredObject, 'body'>): boolean | Promise<boolean>;
  abandon(): void;
}

/**
 * Where objects are kept. Every implementation passes `test/contract/object-store.ts`. What drops
 * objects is heeded by every later lookup, in every thread that shares the store, once it returns.
 */
export interface Store<B extends StoredBody = StoredBody> {
  /** The variants under a key, latest first. A use: it counts for what is evicted next. */
  lookup(key: string): readonly StoredObject<B>[];
  /** What `lookup` would find. No use: nothing is counted, moved or written. */
  peek(key: string): readonly StoredObject<B>[];
  /**
   * Stores a variant in place of the one it equals in key and selector.
   * @param keeping or how many variants, see `Keeping`
   * @returns `false`: not stored, see `Writer.commit`; what it was to replace stays
   */
  put(object: StoredObject<B>, keeping?: Keeping | number): boolean | Promise<boolean>;
  /** @returns `undefined`: refused. @param expectedBytes of content, where that is known */
  reserve(draft: Draft, expectedBytes?: number, keeping?: Keeping): Writer | undefined;
  /** Lets go of what memory has under a key, which another thread or the disk keeps for whoever wants it. */
  release(key: string): void;
  /** Drops one variant. */
  drop(object: Pick<StoredObject, 'key' | 'selector'>): void;
  /** Drops the variants under a key whose selector begins with `selector`: every one where it is left out. */
  delete(key: string, selector?: string): Volume;
  /** Applies a purge to the variants under a key whose `asOf` is before it; what it hit. */
  purge(key: string, purge: PurgeMark): Volume;
  /**
   * Resolves when all that was put or dropped before is written down: what was dropped is not there
   * after a crash either, and is not counted any more.
   */
  settled(): Promise<void>;
  /** Up to where all who store here heed the journal, written down; `Infinity`: only this thread does. */
  readonly fence: number;
  /** `asOf` of all that is stored counts as 0 from now on: it is of a journal that is not followed any more. */
  forgetFences(): void;
  /** Drops objects that `isPurged` names, a bounded batch at a time, without counting as use. */
  sweep(isPurged: (object: StoredObject<B>) => boolean): Promise<void>;
  /**
   * Goes over what `volume` counts, a bounded batch at a time, without counting as use.
   * @param visit returns `false` where that is enough
   */
  scan(visit: (object: StoredObject<B>) => boolean | void): Promise<void>;
  /** All that is stored, or all of one site. */
  volume(site?: string): Volume;
  /** One entry for each tier of storage. */
  stats(): readonly StoreStats[];
  /** One entry for each tier of storage, as `stats`. */
  tallies(): readonly StoreTally[];
}

/** A store that holds every body in memory, and answers at once. */
export interface ObjectStore extends Store<Body> {
  put(object: HeldObject, keeping?: Keeping | number): boolean;
}
