import { LRUCache } from 'lru-cache';
import { RCODE } from './wire/codes.ts';

/** An answer as it was sent, to be sent again to whoever asks the same. */
export interface KnownAnswer {
  readonly message: Buffer;
  readonly rcode: (typeof KEPT)[number];
  readonly expiresAtMs: number;
}

/** What is found out anew each time: everything else. */
const KEPT = [RCODE.NOERROR, RCODE.NXDOMAIN] as const;

const MAX_ANSWERS = 50_000;

/** A short TTL is forgotten when trouble is over, so much later at most; a long one at once when it begins. */
const ANSWER_MS = 60_000;

const HEADER_BYTES = 12;
const OPT_BYTES = 11;
const OPTION_HEAD_BYTES = 4;
const CLIENT_SUBNET = 8;
const ROOT = 0;
const TRUNCATED = 0x02;

/**
 * Where the name of a query ends whose answer depends on nothing but its bytes after the id: one
 * question, and an OPT record with a client subnet and nothing else. 0: it is no such query.
 */
export function endOfName(message: Buffer): number {
  const { length } = message;
  if (length < HEADER_BYTES + 1 || ((message[2] ?? 0) & 0xf8) !== 0) return 0;
  for (let at = 4; at < HEADER_BYTES; at++) {
    // One question and one additional record (RFC 1035 §4.1.1).
    if (message[at] !== (at === 5 || at === 11 ? 1 : 0)) return 0;
  }
  let at = HEADER_BYTES;
  for (let label = message[at] ?? 64; label !== ROOT; label = message[at] ?? 64) {
    if (label > 63) return 0;
    at += label + 1;
  }
  const opt = at + 5;
  const option = opt + OPT_BYTES;
  const isAlone =
    length >= option + OPTION_HEAD_BYTES + 4 &&
    message[opt] === ROOT &&
    // Of version 0.
    message[opt + 6] === 0 &&
    message.readUInt16BE(opt + 9) === length - option &&
    message.readUInt16BE(option) === CLIENT_SUBNET &&
    message.readUInt16BE(option + 2) === length - option - OPTION_HEAD_BYTES;
  // Without a prefix the answer is for whoever sent it (RFC 7871 §7.1.2).
  return isAlone && message[option + 6] !== 0 ? at : 0;
}

/** Answers to queries that tell of their client's network, while all that they came from is the same. */
export class AnswerCache {
  readonly #answers = new LRUCache<string, KnownAnswer>({ max: MAX_ANSWERS });
  #source: unknown;

  /** @param source what answers come from: those from another are forgotten */
  find(key: string, source: unknown, nowMs: number): KnownAnswer | undefined {
    if (source !== this.#source) {
      this.#answers.clear();
      this.#source = source;
    }
    const known = this.#answers.get(key);
    return known !== undefined && known.expiresAtMs > nowMs ? known : undefined;
  }

  /** @param answer as it was sent; not kept if it is truncated, or says that something failed */
  keep(key: string, answer: Buffer | undefined, nowMs: number): void {
    if (answer === undefined || ((answer[2] ?? 0) & TRUNCATED) !== 0) return;
    const rcode = KEPT.find((one) => one === ((answer[3] ?? 0) & 0xf));
    if (rcode === undefined) return;
    // Its own memory: what it was written in is larger.
    const message = Buffer.from(answer);
    this.#answers.set(key, { message, rcode, expiresAtMs: nowMs + ANSWER_MS });
  }
}

/** The same for whatever case the name is in (RFC 4343). @param end of `endOfName` */
export function keyOf(message: Buffer, end: number): string {
  for (let at = HEADER_BYTES; at < end; at++) {
    const byte = message[at] ?? 0;
    if (byte < 0x41 || byte > 0x5a) continue;
    const name = message.toString('latin1', HEADER_BYTES, end).toLowerCase();
    return message.toString('latin1', 2, HEADER_BYTES) + name + message.toString('latin1', end);
  }
  return message.toString('latin1', 2);
}

/** The answer for this query: with its id, and its name in its case. */
export function readdressed({ message }: KnownAnswer, query: Buffer, end: number): Buffer {
  const answer = Buffer.allocUnsafe(message.length);
  message.copy(answer);
  query.copy(answer, 0, 0, 2);
  query.copy(answer, HEADER_BYTES, HEADER_BYTES, end);
  return answer;
}
