import { LRUCache } from 'lru-cache';
import type { Prefix } from '../engine/prefix.ts';

/** What counts as one: a /24 or /56, whose addresses are as easily forged as any. */
const networkOf = ({ family, bytes: [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0] }: Prefix) =>
  family === 4
    ? String.fromCharCode((a << 8) | b, c)
    : String.fromCharCode((a << 8) | b, (c << 8) | d, (e << 8) | f, g);

/** Networks that are remembered; beyond it the longest silent are forgotten. */
const MAX_NETWORKS = 50_000;

/** Of answers that are over the limit, one in so many is sent, truncated, so that a real client comes by TCP. */
const SLIP = 2;

interface Bucket {
  tokens: number;
  filledAtMs: number;
  over: number;
}

/** What to do with one answer by UDP. */
export type Verdict = 'send' | 'truncate' | 'drop';

/** Response rate limiting: nobody is flooded with answers to what was asked in their name. */
export class RateLimit {
  readonly #perSecond: number;
  readonly #buckets = new LRUCache<string, Bucket>({ max: MAX_NETWORKS });

  /** @param perSecond answers to one network; 0: no limit */
  constructor(perSecond: number) {
    this.#perSecond = perSecond;
  }

  /** Whether there is no limit. */
  get isOff(): boolean {
    return this.#perSecond === 0;
  }

  /** Counts one answer to `address`. */
  take(address: Prefix, nowMs: number): Verdict {
    if (this.#perSecond === 0) return 'send';
    const bucket = this.#bucket(networkOf(address), nowMs);
    const refill = ((nowMs - bucket.filledAtMs) / 1000) * this.#perSecond;
    bucket.tokens = Math.min(this.#perSecond, bucket.tokens + refill);
    bucket.filledAtMs = nowMs;
    if (bucket.tokens >= 1) {
      bucket.tokens--;
      return 'send';
    }
    bucket.over++;
    return bucket.over % SLIP === 0 ? 'truncate' : 'drop';
  }

  #bucket(network: string, nowMs: number): Bucket {
    const known = this.#buckets.get(network);
    if (known !== undefined) return known;
    const bucket = { tokens: this.#perSecond, filledAtMs: nowMs, over: 0 };
    this.#buckets.set(network, bucket);
    return bucket;
  }
}
