import { timingSafeEqual } from 'node:crypto';
import { sipHash24 } from './sip-hash.ts';
import type { Cookie } from './wire/options.ts';

/** RFC 9018 §4.3: how old a server cookie may be, how far ahead, and when a fresh one is due. */
const OLDEST_SECONDS = 3600;
const AHEAD_SECONDS = 300;

const SERVER_COOKIE_BYTES = 16;
const VERSION = 1;

/** Cookies by RFC 9018: all servers with one secret take one another's. */
export class Cookies {
  readonly #secret: Buffer;

  /** @param secret 16 bytes */
  constructor(secret: Buffer) {
    this.#secret = secret;
  }

  /** Whether the cookie is one of ours for this client. @param address 4 or 16 bytes */
  proves({ client, server }: Cookie, address: Uint8Array, nowMs: number): boolean {
    if (server?.length !== SERVER_COOKIE_BYTES || server[0] !== VERSION) return false;
    const ageSeconds = (Math.floor(nowMs / 1000) - server.readUInt32BE(4)) | 0;
    if (ageSeconds > OLDEST_SECONDS || ageSeconds < -AHEAD_SECONDS) return false;
    return timingSafeEqual(server, this.#make(client, server.subarray(0, 8), address));
  }

  /** The option for the answer: the client's part, and ours as of now. */
  answer({ client }: Cookie, address: Uint8Array, nowMs: number): Buffer {
    const head = Buffer.from([VERSION, 0, 0, 0, 0, 0, 0, 0]);
    head.writeUInt32BE(Math.floor(nowMs / 1000) >>> 0, 4);
    return Buffer.concat([client, this.#make(client, head, address)]);
  }

  /** @param head version, reserved bytes and time stamp */
  #make(client: Buffer, head: Buffer, address: Uint8Array): Buffer {
    const hash = sipHash24(this.#secret, Buffer.concat([client, head, address]));
    return Buffer.concat([head, hash]);
  }
}
