/** Cancels what it was returned for; calling it twice is harmless. */
export type Cancel = () => void;

/**
 * All that Canopy knows of time. Injected everywhere, so that tests move time by hand.
 * Wall time can jump; durations and deadlines use `monotonicMs`.
 */
export interface Clock {
  /** Wall time in milliseconds since the Unix epoch: what `Date`, `Age` and freshness are reckoned in. */
  now(): number;
  /** Milliseconds since a start that all threads of the process share; never goes back. */
  monotonicMs(): number;
  /** Runs `callback` once after `delayMs`. The timer alone does not keep the process alive. */
  after(delayMs: number, callback: () => void): Cancel;
}

/** performance.now() starts anew in each worker thread, hrtime does not, but makes an object each time. */
const threadStartMs = Number(process.hrtime.bigint()) / 1e6 - performance.now();

export const systemClock: Clock = {
  now: Date.now,
  monotonicMs: () => threadStartMs + performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    timer.unref();
    return () => clearTimeout(timer);
  },
};

/** Resolves after `delayMs` of `clock`. */
export function delay(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => void clock.after(delayMs, resolve));
}
