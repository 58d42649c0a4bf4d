import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { RateLimiterRedis } from 'rate-limiter-flexible';
import type { Clock } from '#core/clock.ts';
import { createClient, parseRedisUrl, type RedisClient } from '#core/redis-client.ts';
import type { RateLimiter } from '#core/rules/guards/limits.ts';

/** What was admitted is told so often, and what others have admitted is learned as often. */
export const TELL_INTERVAL_MS = 50;
/** Keys that wait to be told; what is beyond them the network does not learn. */
const MAX_WAITING = 10_000;
/** Limits whose limiter is kept. */
const MAX_LIMITERS = 1000;

interface Waiting {
  readonly limiter: RateLimiter;
  admitted: number;
}

/**
 * Counts for the whole network what edges have admitted, in a Redis of theirs, beside the requests:
 * none waits for it. A key that the network has used up is told to `onUsedUp`; until then an edge
 * admits what its own count does.
 */
export class NetworkLimits {
  readonly #clock: Clock;
  readonly #client: RedisClient;
  readonly #onUsedUp: (key: string, forMs: number) => void;
  readonly #limiters = new LRUCache<string, RateLimiterRedis>({ max: MAX_LIMITERS });
  #waiting = new Map<string, Waiting>();
  #isDue = false;
  /** Keys whose count the network has not learned. */
  lost = 0;

  /** @param onUsedUp told that nothing more of a key is to be admitted for so many ms */
  constructor(url: string, clock: Clock, onUsedUp: (key: string, forMs: number) => void) {
    const address = parseRedisUrl(url);
    if (address === undefined) throw new Error(`Not the URL of a Redis: ${url}`);
    this.#clock = clock;
    this.#onUsedUp = onUsedUp;
    this.#client = createClient(address);
    // A command that fails says so itself.
    this.#client.on('error', () => undefined);
    this.#client.connect().catch(() => undefined);
  }

  /** One more has been admitted here. */
  admitted(key: string, limiter: RateLimiter): void {
    const waiting = this.#waiting.get(key);
    if (waiting !== undefined) waiting.admitted++;
    else if (this.#waiting.size < MAX_WAITING) this.#waiting.set(key, { limiter, admitted: 1 });
    else this.lost++;
    if (this.#isDue) return;
    this.#isDue = true;
    this.#tellSoon();
  }

  #tellSoon(): void {
    this.#clock.after(TELL_INTERVAL_MS, () => void this.#tell());
  }

  async #tell(): Promise<void> {
    if (CONNECTING.has(this.#client.status)) return this.#tellSoon();
    const told = this.#waiting;
    this.#waiting = new Map();
    await Promise.all([...told].map(([key, waiting]) => this.#tellOf(key, waiting)));
    this.#isDue = this.#waiting.size > 0;
    if (this.#isDue) this.#tellSoon();
  }

  async #tellOf(key: string, { limiter, admitted }: Waiting): Promise<void> {
    try {
      // It counts without refusing: these have been admitted.
      const used = await this.#limiterOf(limiter).penalty(hashOf(key), admitted);
      if (used.remainingPoints <= 0) this.#onUsedUp(key, used.msBeforeNext);
    } catch {
      this.lost++;
    }
  }

  #limiterOf({ id, quota }: RateLimiter): RateLimiterRedis {
    let limiter = this.#limiters.get(id);
    if (limiter === undefined) {
      limiter = new RateLimiterRedis({
        storeClient: this.#client,
        keyPrefix: 'canopy:rate',
        points: quota.requests,
        duration: quota.windowMs / 1000,
      });
      this.#limiters.set(id, limiter);
    }
    return limiter;
  }

  close(): void {
    this.#client.disconnect();
  }
}

/** For the first time, or after a loss; while it is lost there is nobody to wait for. */
const CONNECTING: ReadonlySet<string> = new Set(['connecting', 'connect']);

/** Redis learns no addresses and no credentials of clients. */
const hashOf = (key: string): string => createHash('sha256').update(key).digest('base64url');
