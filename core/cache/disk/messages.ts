import type { ScopeEpoch } from '#core/cache/epochs.ts';
import type { Scope } from '#core/cache/scopes.ts';
import type { PurgeMark } from '#core/cache/store.ts';
import type { StoredFence } from './durable-fence.ts';
import type { BodyPlace, Variant } from './record.ts';

/** An object to be stored, its content in `body` or in a file that is written. */
export interface Commit {
  readonly key: string;
  readonly site: string;
  readonly variant: Omit<Variant, 'at'>;
  readonly at: BodyPlace;
  readonly body: Uint8Array | undefined;
  /** See `SharedState.ticket`. */
  readonly ticket: number;
  readonly maxVariants: number;
  readonly reserved: boolean;
  readonly expiresAt: number;
  /** Room granted for its file, which it gives back for what it costs from now on. */
  readonly roomBytes: number;
}

/** Variants under a key. */
export type Which =
  | {
      readonly kind: 'selector';
      readonly selector: string;
      readonly asOf?: number | undefined;
      /** Of `asOf`; see `Variant`. */
      readonly era: number;
    }
  | { readonly kind: 'prefix'; readonly prefix: string }
  | { readonly kind: 'before'; readonly sequence: number; readonly era: number }
  | { readonly kind: 'file'; readonly file: number };

/** What is not to be found any more, or only as softly purged. */
export interface Drop {
  readonly key: string;
  readonly which: Which;
  /** When the purge was ordered that only marks it, ms since the epoch. */
  readonly softPurgedAt?: number | undefined;
  readonly reason: 'purged' | 'damaged';
}

/** What is to be written down, in the order in which a thread says it. */
export type Change =
  | { readonly kind: 'drop'; readonly drop: Drop }
  /** All of a scope was purged. */
  | { readonly kind: 'raise'; readonly scope: Scope; readonly purge: PurgeMark }
  /** The epoch concerns nothing that is stored any more. */
  | { readonly kind: 'forget'; readonly one: ScopeEpoch }
  /** Another journal is followed than before, since `at`, ms since the epoch. */
  | { readonly kind: 'follow'; readonly journal: string; readonly at: number }
  /** The journal is heeded up to there. */
  | { readonly kind: 'advance'; readonly sequence: number };

export type ToKeeper =
  /** May so many bytes be written to a file, which is a new one if `opens`? */
  | { readonly type: 'room'; readonly id: number; readonly bytes: number; readonly opens: boolean }
  | { readonly type: 'commit'; readonly id: number; readonly commit: Commit }
  | { readonly type: 'change'; readonly change: Change }
  /** Has all that was ordered so far been written down? Answered once it has. */
  | { readonly type: 'settle'; readonly id: number }
  /** What is known of the fence, once all that was said before is heeded. */
  | { readonly type: 'recall'; readonly id: number }
  /** A file for which so much was granted will not be committed. */
  | { readonly type: 'release'; readonly bytes: number }
  /** The system has refused to read or write. @param code of its error */
  | { readonly type: 'failed'; readonly code: string };

/** The answer to what was asked under that number. */
export interface FromKeeper {
  readonly id: number;
  readonly ok: boolean;
  readonly fence?: StoredFence;
}

/** What a thread needs to open a store that a keeper keeps. */
export interface DiskPlace {
  readonly dir: string;
  readonly run: number;
  readonly budgetBytes: number;
  /** Of one body. */
  readonly maxObjectBytes: number;
  readonly mapBytes: number;
  readonly syncFiles: boolean;
  readonly shared: SharedArrayBuffer;
  /** Its row of counters, from 1; 0 is the keeper's. */
  readonly slot: number;
}
