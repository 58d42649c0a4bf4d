import type { ServedSite } from '#core/cache/served-site.ts';
import type { Clock } from '#core/clock.ts';
import { Refusal } from '#core/errors.ts';
import type { Marks } from '#core/limits/marks.ts';
import { SlidingWindows, type Taken } from '#core/limits/sliding-windows.ts';
import type { TableMemory } from '#core/limits/shared-table.ts';
import type { RequestFacts } from '#core/rules/facts.ts';
import type { RateLimiter } from '#core/rules/guards/limits.ts';
import { NetworkLimits } from './network-limits.ts';

export interface RatesOptions {
  readonly clock: Clock;
  readonly memory: TableMemory;
  /** Keys that the network has used up. */
  readonly refused: Marks;
  readonly redisUrl: string | undefined;
}

/** The rate limits of one thread of an edge, counted with the others. */
export class Rates {
  readonly #clock: Clock;
  readonly #refused: Marks;
  readonly #redisUrl: string | undefined;
  readonly windows: SlidingWindows;
  #network: NetworkLimits | undefined;

  constructor({ clock, memory, refused, redisUrl }: RatesOptions) {
    this.#clock = clock;
    this.#refused = refused;
    this.#redisUrl = redisUrl;
    this.windows = new SlidingWindows(memory);
  }

  /**
   * Counts a request.
   * @returns the fields that tell how much is left, where the limit is announced
   * @throws Refusal `too-many-requests`
   */
  take(limiter: RateLimiter, request: RequestFacts, site: ServedSite): readonly string[] {
    const { quota, settings, policyField } = limiter;
    const key = `${site.name}\n${limiter.id}\n${limiter.identify(request)}`;
    const nowMs = this.#clock.monotonicMs();
    const network = settings.scope === 'network' ? this.#networkLimits() : undefined;
    const usedUpMs = network === undefined ? 0 : this.#refused.leftMs(key, nowMs);
    const taken: Taken =
      usedUpMs > 0
        ? { isAdmitted: false, remaining: 0, moreAfterMs: usedUpMs }
        : this.windows.take(key, quota, nowMs);
    const seconds = Math.max(1, Math.ceil(taken.moreAfterMs / 1000));
    const fields = [
      'RateLimit-Policy',
      policyField,
      'RateLimit',
      `"${settings.name}";r=${taken.remaining};t=${seconds}`,
    ];
    if (!taken.isAdmitted) {
      const detail = `At most ${quota.requests} requests in ${settings.windowSeconds} s`;
      throw new Refusal('too-many-requests', detail, ['Retry-After', String(seconds), ...fields]);
    }
    network?.admitted(key, limiter);
    return settings.announce ? fields : NOTHING;
  }

  /** Keys whose count the network has not learned. */
  get lost(): number {
    return this.#network?.lost ?? 0;
  }

  close(): void {
    this.#network?.close();
  }

  /** Connected when a site first needs it. */
  #networkLimits(): NetworkLimits | undefined {
    if (this.#redisUrl === undefined) return undefined;
    this.#network ??= new NetworkLimits(this.#redisUrl, this.#clock, (key, forMs) =>
      this.#refused.set(key, forMs, this.#clock.monotonicMs()),
    );
    return this.#network;
  }
}

const NOTHING: readonly string[] = [];
