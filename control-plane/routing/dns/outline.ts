import { OPTION } from './wire/codes.ts';

const HEADER_BYTES = 12;
/** Type and class of the question. */
const TYPE_AND_CLASS_BYTES = 4;
const OPT_BYTES = 11;
const OPTION_HEAD_BYTES = 4;
const OPT = 41;
const ROOT = 0;
const LARGEST_LABEL = 63;
/** A query that is longer is read in full. */
const MOST_BYTES = 512;

const CLIENT_COOKIE_BYTES = 8;
/** With what the server has made of it (RFC 7873 §4). */
const COOKIE_BYTES = { least: 16, most: 40 } as const;

/**
 * A query as far as one has to look to find its answer among those that are known: one question and,
 * if it has it, an OPT record. Nothing is said of whether it is well formed otherwise: answers to what
 * is not are not kept. There is one outline, into which one query after the other is read.
 */
export class Outline {
  /** Where the name ends and the type begins. */
  nameEnd = 0;
  hasEdns = false;
  /** Where the cookie option begins; 0: there is none. */
  cookieAt = 0;
  /** With its head. */
  cookieBytes = 0;
  /** Whether the query tells of the client's network; else the answer is for whoever sent it (RFC 7871 §7.1.2). */
  tellsNetwork = false;

  /** @returns whether it is such a query */
  read(message: Buffer): boolean {
    const { length } = message;
    this.hasEdns = message[11] === 1;
    this.cookieAt = 0;
    this.cookieBytes = 0;
    this.tellsNetwork = false;
    if (length <= HEADER_BYTES || length > MOST_BYTES || !isQuery(message)) return false;
    let at = HEADER_BYTES;
    for (let label = message[at] ?? 64; label !== ROOT; label = message[at] ?? 64) {
      if (label > LARGEST_LABEL) return false;
      at += label + 1;
    }
    this.nameEnd = at + 1;
    const end = this.nameEnd + TYPE_AND_CLASS_BYTES;
    return this.hasEdns ? this.#readOpt(message, end) : length === end;
  }

  #readOpt(message: Buffer, opt: number): boolean {
    const { length } = message;
    let at = opt + OPT_BYTES;
    const isOpt =
      length >= at &&
      message[opt] === ROOT &&
      uint16(message, opt + 1) === OPT &&
      // Of version 0.
      message[opt + 6] === 0 &&
      uint16(message, opt + 9) === length - at;
    if (!isOpt) return false;
    while (at < length) {
      const end = at + OPTION_HEAD_BYTES + uint16(message, at + 2);
      if (end > length) return false;
      const code = uint16(message, at);
      if (code === OPTION.CLIENT_SUBNET) this.tellsNetwork = (message[at + 6] ?? 0) !== 0;
      if (code === OPTION.COOKIE && !this.#takeCookie(at, end - at)) return false;
      at = end;
    }
    return true;
  }

  #takeCookie(at: number, bytes: number): boolean {
    const valueBytes = bytes - OPTION_HEAD_BYTES;
    const isServers = valueBytes >= COOKIE_BYTES.least && valueBytes <= COOKIE_BYTES.most;
    if (this.cookieAt > 0 || (valueBytes !== CLIENT_COOKIE_BYTES && !isServers)) return false;
    this.cookieAt = at;
    this.cookieBytes = bytes;
    return true;
  }

  /** The value of the cookie option. */
  cookie(message: Buffer): Buffer {
    return message.subarray(this.cookieAt + OPTION_HEAD_BYTES, this.cookieAt + this.cookieBytes);
  }

  /**
   * Writes what the answer depends on: all but the id, the case of the name (RFC 4343) and the cookie,
   * and the sender where it is for that. 0 behind it up to a multiple of four bytes.
   * @returns how long it is, in words of four bytes
   */
  writeKey(message: Buffer, peer: string, key: Uint8Array): number {
    const { nameEnd, cookieAt, cookieBytes } = this;
    let length = 0;
    for (let at = 2; at < nameEnd; at++) {
      const byte = message[at] ?? 0;
      // A label's length is below the capitals: 63 is the largest.
      key[length++] = byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
    }
    const end = message.length;
    const cookieEnd = cookieAt + cookieBytes;
    for (let at = nameEnd; at < (cookieAt > 0 ? cookieAt : end); at++) {
      key[length++] = message[at] ?? 0;
    }
    if (cookieAt > 0) {
      for (let at = cookieEnd; at < end; at++) key[length++] = message[at] ?? 0;
      // The options' length is told as if it were not there, either.
      const lengthAt = nameEnd + TYPE_AND_CLASS_BYTES + OPT_BYTES - 2 - 2;
      const bytes = uint16(message, lengthAt + 2) - cookieBytes;
      key[lengthAt] = bytes >> 8;
      key[lengthAt + 1] = bytes & 0xff;
    }
    if (!this.tellsNetwork) {
      for (let i = 0; i < peer.length; i++) key[length++] = peer.charCodeAt(i);
    }
    while (length % 4 !== 0) key[length++] = 0;
    return length / 4;
  }
}

/** How long a key may be: that of the longest query, from whatever address. */
export const MOST_KEY_BYTES = MOST_BYTES + 64;

/** A standard query with one question, no records, and at most one additional one (RFC 1035 §4.1.1). */
function isQuery(message: Buffer): boolean {
  return (
    ((message[2] ?? 0) & 0xf8) === 0 &&
    message[4] === 0 &&
    message[5] === 1 &&
    message[6] === 0 &&
    message[7] === 0 &&
    message[8] === 0 &&
    message[9] === 0 &&
    message[10] === 0 &&
    (message[11] ?? 2) <= 1
  );
}

const uint16 = (bytes: Uint8Array, at: number): number =>
  ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
