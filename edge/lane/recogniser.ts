import type { Fields } from '#core/http/fields.ts';
import type { ReceivedRequest } from '#core/http/request.ts';

/** What a request says beside its target and host that an answer may depend on. */
export const SAYS = {
  /** A condition, or `Range`. */
  conditions: 1,
  /** `Cache-Control` or `Pragma`. */
  cacheControl: 2,
  /** `Accept-Encoding`. */
  codings: 4,
  /** In several lines. */
  manyCodings: 8,
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

/** What else becomes of a request that has a field. */
const [HOST, CONNECTION, LEAVE] = [-1, -2, -3] as const;

/**
 * Field names that matter, in lower case, with what they say, or what becomes of the request: it is
 * left to others where they are of connections and framing, or where only others heed them.
 */
const NAMES: readonly (readonly [name: string, says: number])[] = [
  ['host', HOST],
  ['connection', CONNECTION],
  ...[
    'if-none-match',
    'if-match',
    'if-modified-since',
    'if-unmodified-since',
    'if-range',
    'range',
  ].map((name) => [name, SAYS.conditions] as const),
  ['accept-encoding', SAYS.codings],
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
  ].map((name) => [name, LEAVE] as const),
];

interface Name {
  /** Lower case. */
  readonly octets: Uint8Array;
  readonly says: number;
}

/** By length; names that are longer matter to nobody. */
const BY_LENGTH: readonly (readonly Name[])[] = Array.from(
  { length: Math.max(...NAMES.map(([name]) => name.length)) + 1 },
  (_, length) =>
    NAMES.filter(([name]) => name.length === length).map(([name, says]) => ({
      octets: Buffer.from(name),
      says,
    })),
);

/** Of tiers among themselves, which no client has a say in. */
const TIER_PREFIX = Buffer.from('canopy-');

/** Whether a token begins with `octets`, which are lower case. */
function begins(bytes: Buffer, at: number, octets: Uint8Array): boolean {
  for (let i = 0; i < octets.length; i++) {
    // What may stand in a token and is in lower case already, this leaves as it is, but for `^` and `_`.
    if (((bytes[at + i] as number) | 0x20) !== octets[i]) return false;
  }
  return true;
}

/** What the lane reads of one request after the other. */
export class PlainRequest {
  isHead = false;
  /** Of `SAYS`. */
  says = 0;
  /** The lines of conditions and ranges as they came. */
  conditions = '';
  bytes: Buffer = Buffer.alloc(0);
  /** Where the target and the value of `Host` are in `bytes`. */
  targetAt = 0;
  targetEnd = 0;
  hostAt = 0;
  hostEnd = 0;
  /** Where it ends in `bytes`. */
  end = 0;
  #fieldsAt = 0;
  #codingsAt = 0;
  #codingsEnd = 0;

  /** Of `Accept-Encoding`, its only line. */
  get acceptEncoding(): string | undefined {
    if ((this.says & SAYS.codings) === 0) return undefined;
    return this.bytes.toString('latin1', this.#codingsAt, this.#codingsEnd).replaceAll(PADDING, '');
  }

  /** As it came: origin-form, printable ASCII. */
  get target(): string {
    return this.bytes.toString('latin1', this.targetAt, this.targetEnd);
  }

  /** As it came. */
  get host(): string {
    return this.bytes.toString('latin1', this.hostAt, this.hostEnd);
  }

  /**
   * Reads the request that begins at `start`; what is left of another one is overwritten.
   * @param length where the bytes end that have come
   */
  read(bytes: Buffer, start: number, length = bytes.length): Recognised {
    let at = this.#readMethod(bytes, start, length);
    if (at <= 0) return at === 0 ? 'incomplete' : 'foreign';
    const targetAt = at;
    const targetLimit = Math.min(length, at + MAX_TARGET_BYTES);
    while (at < targetLimit && (MAY[bytes[at] as number] as number) & 2) at++;
    if (at === length) return 'incomplete';
    if (at === targetAt || at === targetLimit || bytes[targetAt] !== 0x2f) return 'foreign';
    const version = follows(bytes, at, length, ' HTTP/1.1\r\n');
    if (version !== 'plain') return version;
    this.bytes = bytes;
    this.targetAt = targetAt;
    this.targetEnd = at;
    return this.#readFields(bytes, at + 11, start, length);
  }

  /** @returns where the target begins; 0: incomplete; -1: another method */
  #readMethod(bytes: Buffer, start: number, length: number): number {
    // G or H
    this.isHead = bytes[start] === 0x48;
    const method = this.isHead ? 'HEAD /' : 'GET /';
    const found = follows(bytes, start, length, method);
    if (found !== 'plain') return found === 'incomplete' ? 0 : -1;
    return start + method.length - 1;
  }

  #readFields(bytes: Buffer, fieldsAt: number, start: number, length: number): Recognised {
    const limit = Math.min(length, start + MAX_HEAD_BYTES);
    const cut = length === limit ? 'incomplete' : 'foreign';
    this.hostEnd = 0;
    this.says = 0;
    this.conditions = '';
    let at = fieldsAt;
    for (let lines = 0; lines <= MAX_LINES; lines++) {
      if (at + 1 >= limit) return cut;
      if (bytes[at] === CR) {
        if (bytes[at + 1] !== LF || this.hostEnd === 0) return 'foreign';
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
    const names = BY_LENGTH[nameEnd - nameAt];
    if (names !== undefined) {
      for (const { octets, says } of names) {
        if (!begins(bytes, nameAt, octets)) continue;
        if (says === HOST) return this.#noteHost(bytes, valueAt, end);
        if (says === CONNECTION)
          return /^keep-alive[ \t]*$/i.test(bytes.toString('latin1', valueAt, end));
        if (says === LEAVE) return false;
        if (says === SAYS.codings) {
          if ((this.says & says) !== 0) this.says |= SAYS.manyCodings;
          this.#codingsAt = valueAt;
          this.#codingsEnd = end;
        }
        this.says |= says;
        if (says === SAYS.conditions) this.conditions += bytes.toString('latin1', nameAt, end + 2);
        return true;
      }
    }
    return nameEnd - nameAt < TIER_PREFIX.length || !begins(bytes, nameAt, TIER_PREFIX);
  }

  #noteHost(bytes: Buffer, valueAt: number, end: number): boolean {
    if (this.hostEnd !== 0) return false;
    let last = end;
    while (last > valueAt && (bytes[last - 1] === SP || bytes[last - 1] === HT)) last--;
    this.hostAt = valueAt;
    this.hostEnd = last;
    return last > valueAt;
  }

  /** The same for those who take requests from others. */
  received(encrypted: boolean): ReceivedRequest {
    const { isHead, target } = this;
    return { method: isHead ? 'HEAD' : 'GET', target, fields: this.fields(), encrypted };
  }

  /** End-to-end fields, as `readRequest` has them. */
  fields(): Fields {
    const fields: string[] = [];
    for (const line of this.bytes.toString('latin1', this.#fieldsAt, this.end - 4).split('\r\n')) {
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

function follows(bytes: Buffer, start: number, length: number, expected: string): Recognised {
  for (let i = 0; i < expected.length; i++) {
    if (start + i >= length) return 'incomplete';
    if (bytes[start + i] !== expected.charCodeAt(i)) return 'foreign';
  }
  return 'plain';
}
