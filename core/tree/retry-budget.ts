/** The window in which retries are counted against requests. */
const WINDOW_SECONDS = 10;

export interface RetryLimits {
  /** Of all requests. */
  readonly retryFraction: number;
  /** Allowed whatever the fraction. */
  readonly retriesPerSecond: number;
}

interface Second {
  readonly second: number;
  requests: number;
  retries: number;
}

/**
 * Bounds the load that retries add: a fraction of the requests of the last ten seconds, and a few
 * more so that a site with little traffic may retry at all. Against parents that fail because of
 * their load a retry is more of what makes them fail.
 */
export class RetryBudget {
  /** The last seconds in which something happened, oldest first. */
  #seconds: Second[] = [];

  /** Counts a request's first try. @param now `Clock.monotonicMs` */
  request(now: number): void {
    this.#at(now).requests++;
  }

  /** Whether one more try is allowed, which is then counted. */
  take({ retryFraction, retriesPerSecond }: RetryLimits, now: number): boolean {
    const current = this.#at(now);
    const requests = this.#seconds.reduce((sum, second) => sum + second.requests, 0);
    const retries = this.#seconds.reduce((sum, second) => sum + second.retries, 0);
    const allowed = requests * retryFraction + retriesPerSecond * WINDOW_SECONDS;
    if (retries + 1 > allowed) return false;
    current.retries++;
    return true;
  }

  #at(now: number): Second {
    const second = Math.floor(now / 1000);
    const last = this.#seconds.at(-1);
    if (last?.second === second) return last;
    const fresh = { second, requests: 0, retries: 0 };
    const kept = this.#seconds.filter((other) => other.second > second - WINDOW_SECONDS);
    this.#seconds = [...kept, fresh];
    return fresh;
  }
}
