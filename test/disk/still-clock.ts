import type { Clock } from '#core/clock.ts';
import { RECEIVED_AT } from '#test/policy/facts.ts';

/** Time that stands still unless it is moved, so that upkeep happens when it is called. */
export function stillClock(): Clock & { advance(ms: number): void } {
  let now = RECEIVED_AT;
  let timers: { at: number; callback: () => void }[] = [];
  return {
    now: () => now,
    monotonicMs: () => now,
    after(delayMs, callback) {
      const timer = { at: now + delayMs, callback };
      timers.push(timer);
      return () => {
        timers = timers.filter((other) => other !== timer);
      };
    },
    advance(ms) {
      now += ms;
      const due = timers.filter(({ at }) => at <= now);
      timers = timers.filter(({ at }) => at > now);
      for (const { callback } of due) callback();
    },
  };
}
