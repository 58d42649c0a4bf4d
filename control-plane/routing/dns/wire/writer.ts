import { keyOf, type Labels } from './names.ts';

/** RFC 1035 §4.1.4: a pointer has 14 bits. */
const LAST_POINTER = 0x3fff;
const LARGEST_MESSAGE = 65_535;
const FIRST_BYTES = 512;

/** Writes a message from its first byte on. */
export class MessageWriter {
  #buffer = Buffer.allocUnsafe(FIRST_BYTES);
  #length = 0;
  /** Where names were written that others may point to. */
  readonly #names = new Map<string, number>();
  readonly #isCompressed: boolean;

  constructor({ isCompressed = true }: { readonly isCompressed?: boolean } = {}) {
    this.#isCompressed = isCompressed;
  }

  /** @returns what was written */
  message(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  uint8(value: number): void {
    this.#length = this.#room(1).writeUInt8(value, this.#length);
  }

  uint16(...values: readonly number[]): void {
    for (const value of values) {
      this.#length = this.#room(2).writeUInt16BE(value, this.#length);
    }
  }

  uint32(...values: readonly number[]): void {
    for (const value of values) {
      this.#length = this.#room(4).writeUInt32BE(value, this.#length);
    }
  }

  bytes(bytes: Uint8Array): void {
    this.#room(bytes.length).set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** A character-string (RFC 1035 §3.3). @param bytes at most 255 */
  text(bytes: Uint8Array): void {
    this.uint8(bytes.length);
    this.bytes(bytes);
  }

  /** As many character-strings as the text needs, at least one. */
  texts(text: string): void {
    const bytes = Buffer.from(text);
    let at = 0;
    do {
      this.text(bytes.subarray(at, at + 255));
      at += 255;
    } while (at < bytes.length);
  }

  /** Writes two bytes of length before what `write` writes. */
  sized(write: () => void): void {
    const start = this.#length;
    this.uint16(0);
    write();
    this.#buffer.writeUInt16BE(this.#length - start - 2, start);
  }

  /** A name, of which as much as was written before is pointed to. */
  name(labels: Labels): void {
    if (!this.#isCompressed) return this.plainName(labels);
    for (let i = 0; i < labels.length; i++) {
      const key = keyOf(labels.slice(i));
      const pointer = this.#names.get(key);
      if (pointer !== undefined) return this.uint16(0xc000 | pointer);
      if (this.#length <= LAST_POINTER) this.#names.set(key, this.#length);
      this.#label(labels[i] ?? '');
    }
    this.uint8(0);
  }

  /** A name that is neither compressed nor pointed to. */
  plainName(labels: Labels): void {
    for (const label of labels) this.#label(label);
    this.uint8(0);
  }

  #label(label: string): void {
    this.uint8(label.length);
    this.#room(label.length);
    this.#length += this.#buffer.write(label, this.#length, 'latin1');
  }

  /** The buffer with room for so many bytes more. */
  #room(bytes: number): Buffer {
    const needed = this.#length + bytes;
    if (needed > LARGEST_MESSAGE) throw new RangeError('The message is too long');
    if (needed > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.min(LARGEST_MESSAGE, needed * 2));
      this.#buffer.copy(larger, 0, 0, this.#length);
      this.#buffer = larger;
    }
    return this.#buffer;
  }
}
