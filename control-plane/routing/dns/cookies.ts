import { SipHash } from './sip-hash.ts';
import type { Cookie } from './wire/options.ts';

/** RFC 9018 §4.3: how old a server cookie may be, how far ahead, and when a fresh one is due. */
const OLDEST_SECONDS = 3600;
const AHEAD_SECONDS = 300;

const CLIENT_BYTES = 8;
/** Version, reserved bytes and time stamp. */
const HEAD_BYTES = 8;
const SERVER_BYTES = 16;
const VERSION = 1;

/** Of the answer's option: the client's part, and ours. */
export const COOKIE_BYTES = CLIENT_BYTES + SERVER_BYTES;

/** Cookies by RFC 9018: all servers with one secret take one another's. */
export class Cookies {
  readonly #hash: SipHash;
  /** What is hashed: the client's part, our head, the client's address. */
  readonly #hashed = new Uint8Array(CLIENT_BYTES + HEAD_BYTES + 16);
  readonly #expected = new Uint8Array(SERVER_BYTES - HEAD_BYTES);

  /** @param secret 16 bytes */
  constructor(secret: Buffer) {
    this.#hash = new SipHash(secret);
  }

  /** Whether the cookie is one of ours for this client. @param address 4 or 16 bytes */
  proves({ client, server }: Cookie, address: Uint8Array, nowMs: number): boolean {
    if (server?.length !== SERVER_BYTES || server[0] !== VERSION) return false;
    const seconds = server.readUInt32BE(4);
    const ageSeconds = (Math.floor(nowMs / 1000) - seconds) | 0;
    if (ageSeconds > OLDEST_SECONDS || ageSeconds < -AHEAD_SECONDS) return false;
    this.#hashed.set(server.subarray(0, HEAD_BYTES), CLIENT_BYTES);
    this.#write(client, address, this.#expected, 0);
    // All bytes, whichever is the first that differs.
    let difference = 0;
    for (const [i, byte] of this.#expected.entries()) {
      difference |= byte ^ (server[HEAD_BYTES + i] ?? 0);
    }
    return difference === 0;
  }

  /** Writes the option's value for the answer, `COOKIE_BYTES`: the client's part, and ours as of now. */
  write(
    { client }: Cookie,
    address: Uint8Array,
    nowMs: number,
    target: Uint8Array,
    at: number,
  ): void {
    const hashed = this.#hashed;
    const seconds = Math.floor(nowMs / 1000);
    hashed.fill(0, CLIENT_BYTES, CLIENT_BYTES + HEAD_BYTES);
    hashed[CLIENT_BYTES] = VERSION;
    for (let i = 0; i < 4; i++) hashed[CLIENT_BYTES + 4 + i] = seconds >>> (24 - 8 * i);
    this.#write(client, address, target, at + CLIENT_BYTES + HEAD_BYTES);
    for (let i = 0; i < CLIENT_BYTES + HEAD_BYTES; i++) target[at + i] = hashed[i] ?? 0;
  }

  /** Writes the hash for the head that is in its place. */
  #write(client: Uint8Array, address: Uint8Array, target: Uint8Array, at: number): void {
    this.#hashed.set(client);
    this.#hashed.set(address, CLIENT_BYTES + HEAD_BYTES);
    const length = CLIENT_BYTES + HEAD_BYTES + address.length;
    this.#hash.write(this.#hashed, length, target, at);
  }
}
