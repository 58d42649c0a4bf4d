import type { PushVariant } from '#core/contract/push.ts';
import type { SharedPace } from './shared-pace.ts';

/** An object to be stored before anybody asks for it. */
export interface Placement {
  /** Absolute. */
  readonly url: string;
  readonly variant: PushVariant;
}

/** What came of it. */
export type Placed =
  /** `bytes` were fetched; none where it was there already. */
  | { readonly kind: 'placed'; readonly fetched: boolean; readonly bytes: number }
  /** Edges look for it at another mid-tier of this one's group. */
  | { readonly kind: 'elsewhere' }
  | {
      readonly kind: 'failed';
      /** A code of `core/errors.ts`, `status-…`, or why it was not stored. */
      readonly reason: string;
      /** Whether it may go better a little later. */
      readonly isTransient: boolean;
    };

/** Stores one object at this node. */
export type Place = (
  placement: Placement,
  pace: SharedPace | undefined,
  signal: AbortSignal,
) => Promise<Placed>;
