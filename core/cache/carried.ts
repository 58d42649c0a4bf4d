import { decidedOutcome, type Outcome } from '#core/telemetry/cache-status.ts';
import type { CacheEngine, Found, Lookup } from './engine.ts';
import type { Decision } from './policy/decide.ts';

/** One request at the cache, decided. */
export interface Carried {
  readonly engine: CacheEngine;
  readonly lookup: Lookup;
  readonly found: Found;
  readonly decision: Decision;
  /** Used only where the request is passed on for this client alone, and ends with it. */
  readonly exchange: { readonly content: AsyncIterable<Buffer>; readonly signal: AbortSignal };
  /** What was found had another version at the origin, or could not be read. */
  readonly isStartedAnew?: boolean;
}

export const outcomeOf = ({ decision }: Carried, how: Partial<Outcome>): Outcome => ({
  ...decidedOutcome(decision),
  ...how,
});
