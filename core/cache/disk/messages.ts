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

export type ToKeeper =
  /** May so many bytes be written to a file, which is a new one if `opens`? */
  | { readonly type: 'room'; readonly id: number; readonly bytes: number; readonly opens: boolean }
  | { readonly type: 'commit'; readonly id: number; readonly commit: Commit }
  /** A file for which so much was granted will not be committed. */
  | { readonly type: 'release'; readonly bytes: number }
  /** The system has refused to read or write. @param code of its error */
  | { readonly type: 'failed'; readonly code: string };

export type FromKeeper =
  | { readonly type: 'answer'; readonly id: number; readonly ok: boolean }
  /** The disk can be written again. */
  | { readonly type: 'recovered' };

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
