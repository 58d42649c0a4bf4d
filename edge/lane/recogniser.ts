import type { Fields } from '#core/http/fields.ts';
import type { ReceivedRequest } from '#core/http/request.ts';

/** What a request says beside its target and host that an answer may depend on. */
export const SAYS = {
  /** `If-None-Match`. */
  noneMatch: 1,
  /** Another condition, or `Range`. */
  conditions: 2,
  /** `Cache-Control` or `Pragma`. */
  cacheControl: 4,
} as const;

export type Recognised =
  /** A whole request that means to every parser what it means here. */
  | 'plain'
  /** The beginning of one, as far as can be told. */
  | 'incomplete'
  /** Anything else. */
  | 'foreign';

/** Bytes of a request that is looked at. */
export const MAX_HEAD_BYTES = 16 * 1024;
const MAX_TARGET_BYTES = 4096;
const MAX_LINES = 100;

const [HT, LF, CR, SP, COLON] = [9, 10, 13, 32, 58] as const;

/** Of each octet, whether it may stand in a token (1), a target (2), a field value (4). */
const MAY = new Uint8Array(256);
for (let octet = 0x20; octet < 0x7f; octet++) {
  const isToken = /[!#$%&'*+\-.^_`|~0-9A-Za-z]/.test(String.fromCharCode(octet));
  const isTarget = octet !== SP && octet !== 0x23;
  MAY[octet] = (isToken ? 1 : 0) | (isTarget ? 2 : 0) | 4;
}
MAY[HT] = 4;

/**
 * Field names that matter, in lower case: what they say, or `undefined` where the request is left to
 * others. Connection and framing are theirs, and so is what only they heed.
 */
const NAMES: ReadonlyMap<string, number | undefined> = new Map([
  ['if-none-match', SAYS.noneMatch],
  ...['if-match', 'if-modified-since', 'if-unmodified-since', 'if-range', 'range'].map(
    (name) => [name, SAYS.conditions] as const,
  ),
  ...['cache-control', 'pragma'].map((name) => [name, SAYS.cacheControl] as const),
  ...[
    'cdn-loop',
    'content-length',
    'expect',
    'http2-settings',
    'keep-alive',
    'max-forwards',
    'proxy-authenticate',
    'proxy-authentication-info',
    'proxy-authorization',
    'proxy-connection',
    'te',
    'trailer',
    'transfer-encoding',
    'upgrade',
  ].map((name) => [name, undefined] as const),
]);

/** Of tiers among themselves, which no client has a say in. */
const TIER_PREFIX = 'canopy-';

/** Names that are longer matter to nobody. */
const LONGEST_NAME = Math.max(...[...NAMES.keys()].map(({ length }) => length));
/** By length, the letters (A: bit 1) that names which matter begin with: of most, no text is made. */
const INITIALS = new Int32Array(LONGEST_NAME + 1);
const initial = (octet: number): number => 1 << (octet & 31);
for (const name of [...NAMES.keys(), 'host', 'connection']) {
  INITIALS[name.length] = (INITIALS[name.length] as number) | initial(name.charCodeAt(0));
}

/** What the lane reads of one request after the other. */
export class PlainRequest {
  isHead = false;
  /** As it came: origin-form, printable ASCII. */
  target = '';
  /** As it came. */
  host = '';
  /** Of `SAYS`. */
  says = 0;
  /** The value of `If-None-Match` where it is one line; `''`: there is none, or several. */
  noneMatch = '';
  /** Where it ends in `bytes`. */
  end = 0;
  #bytes: Buffer = Buffer.alloc(0);
  #fieldsAt = 0;

  /** Reads the request that begins at `start`; what is left of another one is overwritten. */
  read(bytes: Buffer, start: number): Recognised {
    const { length } = bytes;
    let at = this.#readMethod(bytes, start);
    if (at <= 0) return at === 0 ? 'incomplete' : 'foreign';
    const targetAt = at;
    const targetLimit = Math.min(length, at + MAX_TARGET_BYTES);
    while (at < targetLimit && (MAY[bytes[at] as number] as number) & 2) at++;
    if (at === length) return 'incomplete';
    if (at === targetAt || at === targetLimit || bytes[targetAt] !== 0x2f) return 'foreign';
    const version = follows(bytes, at, ' HTTP/1.1\r\n');
    if (version !== 'plain') return version;
    this.target = bytes.toString('latin1', targetAt, at);
    return this.#readFields(bytes, at + 11, start);
  }

  /** @returns where the target begins; 0: incomplete; -1: another method */
  #readMethod(bytes: Buffer, start: number): number {
    // G or H
    this.isHead = bytes[start] === 0x48;
    const method = this.isHead ? 'HEAD /' : 'GET /';
    const found = follows(bytes, start, method);
    if (found !== 'plain') return found === 'incomplete' ? 0 : -1;
    return start + method.length - 1;
  }

  #readFields(bytes: Buffer, fieldsAt: number, start: number): Recognised {
    const limit = Math.min(bytes.length, start + MAX_HEAD_BYTES);
    const cut = bytes.length === limit ? 'incomplete' : 'foreign';
    this.host = '';
    this.says = 0;
    this.noneMatch = '';
    let at = fieldsAt;
    for (let lines = 0; lines <= MAX_LINES; lines++) {
      if (at + 1 >= limit) return cut;
      if (bytes[at] === CR) {
        if (bytes[at + 1] !== LF || this.host === '') return 'foreign';
        this.#bytes = bytes;
        this.#fieldsAt = fieldsAt;
        this.end = at + 2;
        return 'plain';
      }
      const nameAt = at;
      while (at < limit && (MAY[bytes[at] as number] as number) & 1) at++;
      if (at === limit) return cut;
      const nameEnd = at;
      if (nameEnd === nameAt || bytes[at] !== COLON) return 'foreign';
      do at++;
      while (at < limit && (bytes[at] === SP || bytes[at] === HT));
      const valueAt = at;
      while (at < limit && (MAY[bytes[at] as number] as number) & 4) at++;
      if (at + 1 >= limit) return at < limit && bytes[at] !== CR ? 'foreign' : cut;
      if (bytes[at] !== CR || bytes[at + 1] !== LF) return 'foreign';
      if (!this.#note(bytes, nameAt, nameEnd, valueAt, at)) return 'foreign';
      at += 2;
    }
    return 'foreign';
  }

  /** @returns whether the request may stay */
  #note(bytes: Buffer, nameAt: number, nameEnd: number, valueAt: number, end: number): boolean {
    const length = nameEnd - nameAt;
    const first = bytes[nameAt] as number;
    const matters = length <= LONGEST_NAME && (INITIALS[length] as number) & initial(first);
    // C of Canopy, and A.
    const isOfTiers = (first & 31) === 3 && ((bytes[nameAt + 1] as number) & 31) === 1;
    if (!matters && !isOfTiers) return true;
    const name = bytes.toString('latin1', nameAt, nameEnd).toLowerCase();
    if (name === 'host') {
      if (this.host !== '') return false;
      this.host = trimmed(bytes, valueAt, end);
      return this.host !== '';
    }
    if (name === 'connection') return /^keep-alive$/i.test(trimmed(bytes, valueAt, end));
    if (name.startsWith(TIER_PREFIX)) return false;
    const says = NAMES.get(name);
    if (says === undefined) return !NAMES.has(name);
    if (says === SAYS.noneMatch) {
      const isFirst = (this.says & says) === 0;
      this.noneMatch = isFirst ? trimmed(bytes, valueAt, end) : '';
    }
    this.says |= says;
    return true;
  }

  /** The same for those who take requests from others. */
  received(encrypted: boolean): ReceivedRequest {
    const { isHead, target } = this;
    return { method: isHead ? 'HEAD' : 'GET', target, fields: this.fields(), encrypted };
  }

  /** End-to-end fields, as `readRequest` has them. */
  fields(): Fields {
    const fields: string[] = [];
    for (const line of this.#bytes.toString('latin1', this.#fieldsAt, this.end - 4).split('\r\n')) {
      const colon = line.indexOf(':');
      const name = line.slice(0, colon);
      if (name.toLowerCase() === 'connection') continue;
      fields.push(name, line.slice(colon + 1).replaceAll(PADDING, ''));
    }
    return fields;
  }
}

/** Optional white space around a value, RFC 9110 §5.6.3. */
const PADDING = /^[ \t]+|[ \t]+$/g;

function trimmed(bytes: Buffer, start: number, end: number): string {
  let last = end;
  while (last > start && (bytes[last - 1] === SP || bytes[last - 1] === HT)) last--;
  return bytes.toString('latin1', start, last);
}

function follows(bytes: Buffer, start: number, expected: string): Recognised {
  for (let i = 0; i < expected.length; i++) {
    if (start + i >= bytes.length) return 'incomplete';
    if (bytes[start + i] !== expected.charCodeAt(i)) return 'foreign';
  }
  return 'plain';
}
