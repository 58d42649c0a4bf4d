import { isIPv6 } from 'node:net';
import { LRUCache } from 'lru-cache';
import type { Clock } from '#core/clock.ts';
import { RateExceeded } from '#core/errors.ts';
import { type Rate, TokenBucket } from '#core/token-bucket.ts';

/** Secrets that are not known which one address may send; one beyond them tells that it was too many. */
const RATE: Rate = { perSecond: 0.1, burst: 20 };

const MAX_ADDRESSES = 10_000;
const MAX_KNOWN = 100_000;

interface Guesser {
  readonly bucket: TokenBucket;
  blockedUntilMs: number;
}

/**
 * Slows down who guesses secrets: after so many that are not known, nothing more from that address is
 * looked up for a while, except what it has proved itself with before, for behind one address may be
 * others, and nodes. Kept by each replica for itself.
 */
export class Guesses {
  readonly #clock: Clock;
  readonly #guessers = new LRUCache<string, Guesser>({ max: MAX_ADDRESSES });
  readonly #known = new LRUCache<string, true>({ max: MAX_KNOWN });
  #failures = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Secrets that were not known, since the start. */
  get failures(): number {
    return this.#failures;
  }

  /** @throws RateExceeded if nothing is looked up for this address now */
  admit(address: string, digest: Uint8Array): void {
    const { blockedUntilMs } = this.#guessers.get(networkOf(address)) ?? { blockedUntilMs: 0 };
    const waitMs = blockedUntilMs - this.#clock.monotonicMs();
    if (waitMs <= 0 || this.#known.has(keyOf(address, digest))) return;
    throw new RateExceeded(`Too many tokens and credentials from ${address} are not known`, waitMs);
  }

  succeeded(address: string, digest: Uint8Array): void {
    this.#known.set(keyOf(address, digest), true);
  }

  failed(address: string): void {
    this.#failures += 1;
    const network = networkOf(address);
    const guesser = this.#guessers.get(network) ?? {
      bucket: new TokenBucket(this.#clock, RATE),
      blockedUntilMs: 0,
    };
    this.#guessers.set(network, guesser);
    guesser.blockedUntilMs = this.#clock.monotonicMs() + guesser.bucket.take(1, RATE);
  }
}

const keyOf = (address: string, digest: Uint8Array): string =>
  `${networkOf(address)} ${Buffer.from(digest).toString('base64')}`;

/** One host of IPv6 has a whole /64 of addresses. */
export function networkOf(address: string): string {
  if (!isIPv6(address)) return address;
  const [host = ''] = address.split('%');
  // The URL parser writes every address in one way.
  const [head = '', tail] = new URL(`http://[${host}]`).hostname.slice(1, -1).split('::');
  const missing = 8 - groups(head).length - groups(tail ?? '').length;
  const zeros = tail === undefined ? [] : Array.from({ length: missing }, () => '0');
  return `${[...groups(head), ...zeros, ...groups(tail ?? '')].slice(0, 4).join(':')}::/64`;
}

const groups = (text: string): string[] => (text === '' ? [] : text.split(':'));
