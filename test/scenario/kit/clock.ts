import type { Cancel, Clock } from '#core/clock.ts';

interface Timer {
  readonly dueMs: number;
  readonly callback: () => void;
}

const UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** `250ms`, `40s`, `5m`, `2h`, `1d`. */
export type Duration = `${number}${keyof typeof UNITS}`;

/** A clock that stands still until a test moves it. */
export class FakeClock implements Clock {
  readonly #startedAt = Date.UTC(2026, 0, 1);
  readonly #timers = new Set<Timer>();
  #elapsedMs = 0;

  now(): number {
    return this.#startedAt + this.#elapsedMs;
  }

  monotonicMs(): number {
    return this.#elapsedMs;
  }

  after(delayMs: number, callback: () => void): Cancel {
    const timer = { dueMs: this.#elapsedMs + delayMs, callback };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  /** Callbacks that wait for their time. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Moves time, running what falls due on the way in its order. */
  advance(duration: Duration): void {
    const until = this.#elapsedMs + milliseconds(duration);
    for (;;) {
      const [next] = [...this.#timers].toSorted((a, b) => a.dueMs - b.dueMs);
      if (next === undefined || next.dueMs > until) break;
      this.#timers.delete(next);
      this.#elapsedMs = Math.max(this.#elapsedMs, next.dueMs);
      next.callback();
    }
    this.#elapsedMs = until;
  }
}

function milliseconds(duration: Duration): number {
  const [, amount, unit] = /^([\d.]+)(ms|s|m|h|d)$/.exec(duration) ?? [];
  if (unit === undefined) throw new Error(`Expected a duration such as 40s, received ${duration}`);
  return Number(amount) * UNITS[unit as keyof typeof UNITS];
}
