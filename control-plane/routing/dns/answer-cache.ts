import { randomInt } from 'node:crypto';
import { MOST_KEY_BYTES, type Outline } from './outline.ts';
import { RCODE } from './wire/codes.ts';

/** What is found out anew each time: everything else. */
const KEPT: ReadonlySet<number> = new Set([RCODE.NOERROR, RCODE.NXDOMAIN]);

/** A short TTL is forgotten when trouble is over, so much later at most; a long one at once when it begins. */
const ANSWER_SECONDS = 60;

/** Answers are found in sets by a hash: in each so many, of which the oldest gives way. */
const WAYS = 4;
const SETS = 2 ** 14;

/** All answers with what they are found by, one behind the other: the oldest give way, too. */
const RING_WORDS = 2 ** 22;
/** The same for each answer: what follows, in words of four bytes. */
const HEAD = { keyWords: 0, messageBytes: 1, place: 2, optionsAt: 3, expiresAtSeconds: 4 } as const;
const HEAD_WORDS = 5;
/** A longer one is none of those that are asked for all the time. */
const MOST_MESSAGE_BYTES = 4096;

const HEADER_BYTES = 12;
const TRUNCATED = 0x02;

/**
 * Answers to queries, while all that they came from is the same. They are in one piece of memory, one
 * beside the other, not in objects: of what an answer from here takes, waiting for memory is the largest
 * part.
 */
export class AnswerCache {
  readonly #words = new Uint32Array(RING_WORDS);
  readonly #bytes = new Uint8Array(this.#words.buffer);
  /** Words that were ever written: the place of the next answer, before the ring is considered. */
  #end = 0;
  /** Those before are not of the present source. */
  #begin = 0;
  /** Of each set, the latest first. */
  readonly #hashes = new Int32Array(WAYS * SETS);
  readonly #starts = new Float64Array(WAYS * SETS).fill(-1);
  /** So that nobody can tell whose hash is that of another. */
  readonly #seed = randomInt(2 ** 32) | 0;
  /** What was last looked for, as bytes and as words, of which there are so many. */
  readonly #keyBytes = new Uint8Array(MOST_KEY_BYTES);
  readonly #key = new Uint32Array(this.#keyBytes.buffer);
  #keyWords = 0;
  #hash = 0;
  /** Where in the ring the answer is that was last found. */
  #found = 0;
  #source: unknown;

  /**
   * Looks for the answer to what was read into the outline.
   * @param source what answers come from: those from another are forgotten
   * @returns whether there is one: what follows is about that
   */
  find(outline: Outline, message: Buffer, peer: string, source: unknown, nowMs: number): boolean {
    if (source !== this.#source) {
      this.#begin = this.#end;
      this.#source = source;
    }
    const key = this.#key;
    const count = outline.writeKey(message, peer, this.#keyBytes);
    let hash = this.#seed;
    for (let i = 0; i < count; i++) {
      hash = Math.imul(hash ^ (key[i] ?? 0), 0x85ebca6b);
      hash ^= hash >>> 15;
    }
    this.#keyWords = count;
    this.#hash = hash;
    const oldest = Math.max(this.#begin, this.#end - RING_WORDS);
    const first = WAYS * (hash & (SETS - 1));
    for (let way = first; way < first + WAYS; way++) {
      if (this.#hashes[way] !== hash) continue;
      const start = this.#starts[way] ?? -1;
      if (start < oldest || !this.#is(start % RING_WORDS, nowMs)) continue;
      this.#found = start % RING_WORDS;
      return true;
    }
    return false;
  }

  /** Where it is counted, see `DnsCounters`. */
  get place(): number {
    return this.#words[this.#found + HEAD.place] ?? 0;
  }

  /** Where two bytes tell the length of its options, which are at its end. */
  get optionsAt(): number {
    return this.#words[this.#found + HEAD.optionsAt] ?? 0;
  }

  /**
   * It for this query: with its id, and its name in its case.
   * @param nameEnd where the name of the query ends
   * @param room bytes that are left free at the end
   */
  readdressed(query: Buffer, nameEnd: number, room: number): Buffer {
    const at = this.#found;
    const bytes = this.#words[at + HEAD.messageBytes] ?? 0;
    const start = 4 * (at + HEAD_WORDS + (this.#words[at + HEAD.keyWords] ?? 0));
    const answer = Buffer.allocUnsafe(bytes + room);
    answer.set(this.#bytes.subarray(start, start + bytes));
    answer[0] = query[0] ?? 0;
    answer[1] = query[1] ?? 0;
    for (let i = HEADER_BYTES; i < nameEnd; i++) answer[i] = query[i] ?? 0;
    return answer;
  }

  /**
   * Keeps the answer to what was last looked for; not if it is truncated, or says that something failed.
   * @param place and `optionsAt` as above
   */
  keep(message: Buffer, place: number, optionsAt: number, nowMs: number): void {
    const isKept =
      ((message[2] ?? 0) & TRUNCATED) === 0 &&
      KEPT.has((message[3] ?? 0) & 0xf) &&
      message.length <= MOST_MESSAGE_BYTES;
    if (!isKept) return;
    const messageWords = (message.length + 3) >> 2;
    const start = this.#room(HEAD_WORDS + this.#keyWords + messageWords);
    const at = start % RING_WORDS;
    const words = this.#words;
    words[at + HEAD.keyWords] = this.#keyWords;
    words[at + HEAD.messageBytes] = message.length;
    words[at + HEAD.place] = place;
    words[at + HEAD.optionsAt] = optionsAt;
    words[at + HEAD.expiresAtSeconds] = nowMs / 1000 + ANSWER_SECONDS;
    words.set(this.#key.subarray(0, this.#keyWords), at + HEAD_WORDS);
    this.#bytes.set(message, 4 * (at + HEAD_WORDS + this.#keyWords));
    const first = WAYS * (this.#hash & (SETS - 1));
    this.#hashes.copyWithin(first + 1, first, first + WAYS - 1);
    this.#starts.copyWithin(first + 1, first, first + WAYS - 1);
    this.#hashes[first] = this.#hash;
    this.#starts[first] = start;
  }

  /** Where so many words fit in one piece. */
  #room(count: number): number {
    const left = RING_WORDS - (this.#end % RING_WORDS);
    const start = count <= left ? this.#end : this.#end + left;
    this.#end = start + count;
    return start;
  }

  /** Whether what is there is for what was last looked for, and still good. */
  #is(at: number, nowMs: number): boolean {
    const words = this.#words;
    const key = this.#key;
    const count = this.#keyWords;
    if (words[at + HEAD.keyWords] !== count) return false;
    for (let i = 0; i < count; i++) if (words[at + HEAD_WORDS + i] !== key[i]) return false;
    return 1000 * (words[at + HEAD.expiresAtSeconds] ?? 0) > nowMs;
  }
}
