/** Bytes of a ClientHello that are looked into; no client sends so many. */
export const MAX_HELLO_BYTES = 16 * 1024 + 5;

const HANDSHAKE = 22;
const CLIENT_HELLO = 1;
const SERVER_NAME = 0;
const HOST_NAME = 0;

/**
 * The host that a client names before TLS begins (RFC 6066 §3), for what has to be known before.
 * @param bytes the first of a connection
 * @returns in lower case; `''` if it names none or speaks no TLS; `undefined` while it is not complete
 */
export function serverNameOf(bytes: Buffer): string | undefined {
  const message = handshakeMessage(bytes);
  if (message === undefined || message.length === 0) return message === undefined ? undefined : '';
  const reader = new Reader(message);
  // Version and random, then session id, cipher suites and compression methods.
  reader.skip(2 + 32);
  reader.skip(reader.number(1));
  reader.skip(reader.number(2));
  reader.skip(reader.number(1));
  const extensions = new Reader(reader.take(reader.number(2)));
  while (extensions.left > 0) {
    const type = extensions.number(2);
    const content = new Reader(extensions.take(extensions.number(2)));
    if (type === SERVER_NAME) return hostNameIn(content);
  }
  return '';
}

function hostNameIn(extension: Reader): string {
  const names = new Reader(extension.take(extension.number(2)));
  while (names.left > 0) {
    const type = names.number(1);
    const name = names.take(names.number(2));
    if (type === HOST_NAME) return name.toString('latin1').toLowerCase();
  }
  return '';
}

/** The ClientHello out of the records that carry it (RFC 8446 §5.1); empty if this is none. */
function handshakeMessage(bytes: Buffer): Buffer | undefined {
  const parts: Buffer[] = [];
  let gathered = 0;
  for (let at = 0; ;) {
    if (bytes.length > at && bytes[at] !== HANDSHAKE) return NOTHING;
    if (bytes.length < at + 5) return undefined;
    const end = at + 5 + bytes.readUInt16BE(at + 3);
    const part = bytes.subarray(at + 5, end);
    parts.push(part);
    gathered += part.length;
    const message = parts.length === 1 ? part : Buffer.concat(parts, gathered);
    if (message.length > 0 && message[0] !== CLIENT_HELLO) return NOTHING;
    if (message.length >= 4) {
      const length = 4 + message.readUIntBE(1, 3);
      if (message.length >= length) return message.subarray(4, length);
    }
    if (bytes.length < end) return undefined;
    at = end;
  }
}

const NOTHING = Buffer.alloc(0);

/** Reads numbers and pieces; beyond the end there are zeros and nothing. */
class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  number(bytes: 1 | 2): number {
    const value = this.left < bytes ? 0 : this.#bytes.readUIntBE(this.#at, bytes);
    this.skip(bytes);
    return value;
  }

  take(bytes: number): Buffer {
    const piece = this.#bytes.subarray(this.#at, this.#at + bytes);
    this.skip(bytes);
    return piece;
  }

  skip(bytes: number): void {
    this.#at = Math.min(this.#bytes.length, this.#at + bytes);
  }
}
