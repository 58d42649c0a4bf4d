import { randomInt } from 'node:crypto';
import { MOST_KEY_BYTES, type Outline } from './outline.ts';
import { RCODE } from './wire/codes.ts';

/** An answer that was sent, to be sent again to whoever asks the same. */
export interface KnownAnswer {
  readonly key: Uint32Array;
  readonly message: Buffer;
  /** Where it is counted, see `DnsCounters`. */
  readonly place: number;
  /** Where two bytes tell the length of its options, which are at its end. */
  readonly optionsAt: number;
  readonly expiresAtMs: number;
}

/** What is found out anew each time: everything else. */
const KEPT: ReadonlySet<number> = new Set([RCODE.NOERROR, RCODE.NXDOMAIN]);

/** Answers are kept in sets by a hash: in each so many, of which the oldest gives way. */
const WAYS = 4;
const SETS = 2 ** 14;

/** A short TTL is forgotten when trouble is over, so much later at most; a long one at once when it begins. */
const ANSWER_MS = 60_000;

const HEADER_BYTES = 12;
const TRUNCATED = 0x02;

/** Answers to queries, while all that they came from is the same. */
export class AnswerCache {
  /** Set after set, the latest first; a list of the least used would cost more than it keeps. */
  #answers: (KnownAnswer | undefined)[] = [];
  /** Hashes of what each depends on: most others are told apart without looking at them. */
  readonly #hashes = new Int32Array(WAYS * SETS);
  /** So that nobody can tell whose hash is that of another. */
  readonly #seed = randomInt(2 ** 32) | 0;
  /** What was last looked for, as bytes and as words, of which there are so many. */
  readonly #keyBytes = new Uint8Array(MOST_KEY_BYTES);
  readonly #key = new Uint32Array(this.#keyBytes.buffer);
  #words = 0;
  #hash = 0;
  #source: unknown;

  /**
   * The answer to what was read into the outline.
   * @param source what answers come from: those from another are forgotten
   */
  find(
    outline: Outline,
    message: Buffer,
    peer: string,
    source: unknown,
    nowMs: number,
  ): KnownAnswer | undefined {
    if (source !== this.#source) {
      this.#answers = Array.from({ length: WAYS * SETS });
      this.#source = source;
    }
    const key = this.#key;
    const words = outline.writeKey(message, peer, this.#keyBytes);
    let hash = this.#seed;
    for (let i = 0; i < words; i++) {
      hash = Math.imul(hash ^ (key[i] ?? 0), 0x85ebca6b);
      hash ^= hash >>> 15;
    }
    this.#words = words;
    this.#hash = hash;
    const first = WAYS * (hash & (SETS - 1));
    for (let place = first; place < first + WAYS; place++) {
      if (this.#hashes[place] !== hash) continue;
      const known = this.#answers[place];
      if (known !== undefined && known.expiresAtMs > nowMs && this.#isOf(known.key)) return known;
    }
    return undefined;
  }

  #isOf(known: Uint32Array): boolean {
    const key = this.#key;
    if (known.length !== this.#words) return false;
    for (let i = 0; i < known.length; i++) if (known[i] !== key[i]) return false;
    return true;
  }

  /** Keeps the answer to what was last looked for; not if it is truncated, or says that something failed. */
  keep(
    message: Buffer,
    { place, optionsAt }: Pick<KnownAnswer, 'place' | 'optionsAt'>,
    nowMs: number,
  ): void {
    if (((message[2] ?? 0) & TRUNCATED) !== 0 || !KEPT.has((message[3] ?? 0) & 0xf)) return;
    // Its own memory: what it was written in is larger.
    const own = Buffer.allocUnsafeSlow(message.length);
    own.set(message);
    const first = WAYS * (this.#hash & (SETS - 1));
    this.#answers.copyWithin(first + 1, first, first + WAYS - 1);
    this.#hashes.copyWithin(first + 1, first, first + WAYS - 1);
    this.#hashes[first] = this.#hash;
    this.#answers[first] = {
      key: this.#key.slice(0, this.#words),
      message: own,
      place,
      optionsAt,
      expiresAtMs: nowMs + ANSWER_MS,
    };
  }
}

/**
 * The answer for this query: with its id, and its name in its case.
 * @param nameEnd where the name of the query ends
 * @param room bytes that are left free at the end
 */
export function readdressed(
  { message }: KnownAnswer,
  query: Buffer,
  nameEnd: number,
  room: number,
): Buffer {
  const answer = Buffer.allocUnsafe(message.length + room);
  answer.set(message);
  answer[0] = query[0] ?? 0;
  answer[1] = query[1] ?? 0;
  for (let at = HEADER_BYTES; at < nameEnd; at++) answer[at] = query[at] ?? 0;
  return answer;
}
