import type { Clock } from '#core/clock.ts';

/** How an attempt at a parent ended, as far as its health is concerned. */
export type AttemptOutcome =
  | 'answered'
  /** The connection failed or broke: the parent itself is at fault. */
  | 'unreachable'
  /** No header section in time: perhaps only this object is slow. */
  | 'timeout'
  /** What came is not HTTP, or too large: perhaps only for this object. */
  | 'invalid';

interface Record {
  failures: number;
  /** Timeouts and invalid answers. */
  doubts: number;
  avoidUntilMs: number;
}

const FIRST_BACKOFF_MS = 500;
const LONGEST_BACKOFF_MS = 15_000;
/** Timeouts and invalid answers in a row that count as one failure: nothing is marked down by one bad object. */
const DOUBTS_PER_FAILURE = 3;

/**
 * What this thread has learnt of its parents from its own requests. A parent that fails is avoided
 * for a backoff that doubles; it is still tried when no other is left.
 */
export class ParentHealth {
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #records = new Map<string, Record>();

  /** @param random in [0, 1), for jitter */
  constructor(clock: Clock, random: () => number = Math.random) {
    this.#clock = clock;
    this.#random = random;
  }

  /** Those not avoided, in order, then those avoided, soonest over first. */
  order<T extends { readonly name: string }>(parents: readonly T[]): readonly T[] {
    const now = this.#clock.monotonicMs();
    const avoided = (parent: T): number =>
      Math.max(0, (this.#records.get(parent.name)?.avoidUntilMs ?? 0) - now);
    if (!parents.some((parent) => avoided(parent) > 0)) return parents;
    return parents.toSorted((a, b) => avoided(a) - avoided(b));
  }

  note(name: string, outcome: AttemptOutcome): void {
    if (outcome === 'answered') {
      this.#records.delete(name);
      return;
    }
    const record = this.#records.get(name) ?? { failures: 0, doubts: 0, avoidUntilMs: 0 };
    this.#records.set(name, record);
    if (outcome !== 'unreachable' && ++record.doubts % DOUBTS_PER_FAILURE !== 0) return;
    const backoffMs = Math.min(FIRST_BACKOFF_MS * 2 ** record.failures++, LONGEST_BACKOFF_MS);
    record.avoidUntilMs = this.#clock.monotonicMs() + backoffMs * (0.5 + this.#random() / 2);
  }

  /** Forgets parents that are no longer configured. */
  retain(isConfigured: (name: string) => boolean): void {
    for (const name of this.#records.keys()) if (!isConfigured(name)) this.#records.delete(name);
  }
}
