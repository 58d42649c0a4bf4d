import { type Labels, wireLength } from './names.ts';

/** A message that is not as the protocol has it. */
export class Malformed extends Error {}

/** Reads on from a place in a message; whatever it would read beyond the end is malformed. */
export class MessageReader {
  readonly #message: Buffer;
  #at: number;

  constructor(message: Buffer, at: number) {
    this.#message = message;
    this.#at = at;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#message.length;
  }

  uint8(): number {
    return this.#message.readUInt8(this.#take(1));
  }

  uint16(): number {
    return this.#message.readUInt16BE(this.#take(2));
  }

  bytes(count: number): Buffer {
    const start = this.#take(count);
    return this.#message.subarray(start, start + count);
  }

  /** RFC 1035 §4.1.4: a pointer leads to an earlier place only, so that none goes round in circles. */
  name(): Labels {
    const labels: string[] = [];
    let at = this.#at;
    let end: number | undefined;
    for (;;) {
      const length = this.#message[at];
      if (length === undefined) throw new Malformed('a name that is cut off');
      if (length === 0) break;
      if (length >= 0xc0) {
        const target = ((length & 0x3f) << 8) | (this.#message[at + 1] ?? Infinity);
        if (target >= at || at + 1 >= this.#message.length) throw new Malformed('pointer');
        end ??= at + 2;
        at = target;
        continue;
      }
      if (length > 63 || at + 1 + length > this.#message.length) throw new Malformed('label');
      labels.push(this.#message.toString('latin1', at + 1, at + 1 + length));
      if (wireLength(labels) > 255) throw new Malformed('a name that is too long');
      at += 1 + length;
    }
    this.#at = end ?? at + 1;
    return labels;
  }

  #take(count: number): number {
    const start = this.#at;
    if (start + count > this.#message.length) throw new Malformed('cut off');
    this.#at += count;
    return start;
  }
}
