import { createLocalJWKSet, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';
import type { Clock } from '#core/clock.ts';
import { messageOf } from '#core/errors.ts';

/** Keys are looked at again so often. */
const MAX_AGE_MS = 600_000;
/** Between two looks that tokens by unknown keys, or failures, make necessary. */
const COOLDOWN_MS = 30_000;
const RETRY_MS = 5_000;
const TIMEOUT_MS = 3_000;
const MAX_BYTES = 262_144;

export interface KeySet {
  readonly keyFor: JWTVerifyGetKey;
  /** Another one wherever the keys have changed. */
  readonly generation: number;
}

/** The keys of an issuer (RFC 7517 §5), fetched and kept; what was fetched last stays while there is nothing newer. */
export class Jwks {
  readonly #url: string;
  readonly #clock: Clock;
  #keys: KeySet | undefined;
  #text = '';
  #lookedAtMs = -Infinity;
  #looking: Promise<void> | undefined;
  /** What was wrong with the latest answer, if something was. */
  problem: string | undefined;

  constructor(url: string, clock: Clock) {
    this.#url = url;
    this.#clock = clock;
  }

  /** The keys there are, waiting for the first of them only; `undefined`: none can be fetched. */
  keys(): KeySet | undefined | Promise<KeySet | undefined> {
    const ageMs = this.#clock.monotonicMs() - this.#lookedAtMs;
    const isDue = ageMs >= (this.problem === undefined ? MAX_AGE_MS : RETRY_MS);
    if (isDue || this.#looking !== undefined) {
      const looking = this.#look();
      if (this.#keys === undefined) return looking.then(() => this.#keys);
    }
    return this.#keys;
  }

  /** The keys once more, for a token by an unknown one; too soon after the last time, the same. */
  async newer(): Promise<KeySet | undefined> {
    if (this.#clock.monotonicMs() - this.#lookedAtMs >= COOLDOWN_MS) await this.#look();
    else await this.#looking;
    return this.#keys;
  }

  #look(): Promise<void> {
    this.#looking ??= this.#fetch().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #fetch(): Promise<void> {
    this.#lookedAtMs = this.#clock.monotonicMs();
    try {
      const text = await fetched(this.#url);
      if (text !== this.#text) {
        const keyFor = createLocalJWKSet(JSON.parse(text) as JSONWebKeySet);
        this.#keys = { keyFor, generation: (this.#keys?.generation ?? 0) + 1 };
        this.#text = text;
      }
      this.problem = undefined;
    } catch (error) {
      this.problem = messageOf(error);
    }
  }
}

/** @throws Error unless it is a short answer of status 200, from the URL itself and in time */
async function fetched(url: string): Promise<string> {
  const answer = await fetch(url, {
    headers: { Accept: 'application/jwk-set+json, application/json' },
    // Whoever was configured is asked, and nobody else.
    redirect: 'error',
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  if (answer.status !== 200) {
    await answer.body?.cancel();
    throw new Error(`${url} answers ${answer.status}`);
  }
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of answer.body ?? []) {
    bytes += chunk.length;
    if (bytes > MAX_BYTES) throw new Error(`${url} answers with more than ${MAX_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
