import type { Failure } from './tries.ts';

/** What is known of one parent, from requests and from checks. Times are `Clock.monotonicMs`. */
export interface Breaker {
  /** Objects that failed since the last whole answer, each once. */
  readonly failing: readonly string[];
  /** `undefined`: closed. From then on one trial at a time may go to it. */
  readonly openUntilMs: number | undefined;
  /** Openings without a calm time between them. */
  readonly openings: number;
  readonly onTrial: boolean;
  /** Checks have found it down. */
  readonly isDown: boolean;
  /** When it was opened or closed last. What began before tells nothing of now. */
  readonly changedAtMs: number;
  /** Since when nothing has come of it; `undefined`: it is in use. */
  readonly awaySinceMs: number | undefined;
  /** How long its way back to the full share of objects takes. */
  readonly slowStartMs: number;
}

/** `half-open`: one request may try it. */
export type Standing = 'closed' | 'half-open' | 'open';

export const UNKNOWN: Breaker = {
  failing: [],
  openUntilMs: undefined,
  openings: 0,
  onTrial: false,
  isDown: false,
  changedAtMs: -Infinity,
  awaySinceMs: undefined,
  slowStartMs: 0,
};

/** Nothing is marked down by one bad object, so it takes as many different ones. */
const OBJECTS_TO_OPEN = 3;
/** Failures that tell of the parent and not of the object; `undefined`: of neither. */
const TELLS_OF: Readonly<Record<Failure, 'parent' | 'object' | undefined>> = {
  refused: 'parent',
  reset: 'object',
  timeout: 'object',
  invalid: 'object',
  status: 'object',
  failed: undefined,
  busy: undefined,
  down: undefined,
};

const FIRST_BACKOFF_MS = 500;
const LONGEST_BACKOFF_MS = 15_000;
/** Closed for so long, an opening counts as the first. */
const CALM_MS = 30_000;
/** From a recovery to the full share of objects, at most. */
const LONGEST_SLOW_START_MS = 10_000;
const LEAST_SHARE = 0.1;

export function standing({ isDown, openUntilMs, onTrial }: Breaker, now: number): Standing {
  if (isDown) return 'open';
  if (openUntilMs === undefined) return 'closed';
  return now < openUntilMs || onTrial ? 'open' : 'half-open';
}

/** The part of its weight that a parent is given: after a recovery little at first, so that it can warm up. */
export function share(breaker: Breaker, now: number): number {
  const { awaySinceMs, changedAtMs, slowStartMs } = breaker;
  if (awaySinceMs !== undefined || slowStartMs === 0) return 1;
  return Math.min(1, Math.max(LEAST_SHARE, (now - changedAtMs) / slowStartMs));
}

/** In use again. One that was away for a moment has lost nothing, and its objects had better not move. */
const back = (breaker: Breaker, now: number): Breaker => ({
  ...breaker,
  failing: [],
  openUntilMs: undefined,
  changedAtMs: now,
  awaySinceMs: undefined,
  slowStartMs: Math.min(now - (breaker.awaySinceMs ?? now), LONGEST_SLOW_START_MS),
});

/**
 * A header section has come, which ends a trial well.
 * @param startedAtMs when the request that was answered began
 */
export function answered(breaker: Breaker, startedAtMs: number, now: number): Breaker {
  if (breaker.openUntilMs === undefined || startedAtMs < breaker.changedAtMs) return breaker;
  const closed = { ...breaker, openUntilMs: undefined, onTrial: false };
  return breaker.isDown ? { ...closed, failing: [], changedAtMs: now } : back(closed, now);
}

/** An answer has come to its end: whatever failed before was bad by itself. */
export const completed = (breaker: Breaker): Breaker =>
  breaker.failing.length === 0 ? breaker : { ...breaker, failing: [] };

/**
 * @param object the key of what was asked for
 * @param random in [0, 1), so that nodes do not come back to a parent all at once
 */
export function failed(
  breaker: Breaker,
  failure: Failure,
  object: string,
  startedAtMs: number,
  now: number,
  random: number,
): Breaker {
  const of = TELLS_OF[failure];
  if (of === undefined || startedAtMs < breaker.changedAtMs) return breaker;
  const { failing } = breaker;
  const objects = failing.includes(object) ? failing : [...failing, object];
  const opens =
    of === 'parent' || breaker.openUntilMs !== undefined || objects.length >= OBJECTS_TO_OPEN;
  return opens ? opened(breaker, now, random) : { ...breaker, failing: objects };
}

/** @param random in [0, 1), so that nodes do not come back to a parent all at once */
export function opened(breaker: Breaker, now: number, random: number): Breaker {
  const isCalm = breaker.openUntilMs === undefined && now - breaker.changedAtMs >= CALM_MS;
  const openings = isCalm ? 0 : breaker.openings;
  const backoffMs = Math.min(FIRST_BACKOFF_MS * 2 ** openings, LONGEST_BACKOFF_MS);
  return {
    ...breaker,
    failing: [],
    openUntilMs: now + backoffMs * (0.5 + random / 2),
    openings: openings + 1,
    onTrial: false,
    changedAtMs: now,
    awaySinceMs: breaker.awaySinceMs ?? now,
  };
}

/** One request goes to it while it is half-open; no other does until that has ended. */
export const onTrial = (breaker: Breaker): Breaker => ({ ...breaker, onTrial: true });

/** The trial has ended without telling anything. */
export const offTrial = (breaker: Breaker): Breaker => ({ ...breaker, onTrial: false });

/** A series of checks has come to a result. A parent that is up again begins anew, slowly. */
export function checked(breaker: Breaker, isDown: boolean, now: number): Breaker {
  if (breaker.isDown === isDown) return breaker;
  if (!isDown) return back({ ...breaker, isDown }, now);
  return { ...breaker, isDown, changedAtMs: now, awaySinceMs: breaker.awaySinceMs ?? now };
}
