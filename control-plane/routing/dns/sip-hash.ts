/** SipHash-2-4 (Aumasson and Bernstein 2012), as RFC 9018 §4.4 takes it. */
export class SipHash {
  /** Halves of the four words that it begins with, low before high: big integers would be allocated. */
  readonly #start: Int32Array;
  readonly #state = new Int32Array(8);

  /** @param key 16 bytes */
  constructor(key: Buffer) {
    const words = [0, 4, 8, 12, 0, 4, 8, 12].map((at) => key.readInt32LE(at));
    this.#start = Int32Array.from(words, (word, i) => word ^ (INITIAL[i] ?? 0));
  }

  /**
   * Writes the hash, 8 bytes, little-endian.
   * @param length of the message, bytes
   */
  write(message: Uint8Array, length: number, target: Uint8Array, at: number): void {
    const v = this.#state;
    v.set(this.#start);
    const end = length - (length % 8);
    for (let i = 0; i < end; i += 8)
      absorb(v, halfAt(message, i, end), halfAt(message, i + 4, end));
    // What is left, with the length as the last byte.
    const high = halfAt(message, end + 4, length) | (length << 24);
    absorb(v, halfAt(message, end, length), high);
    v[4] = (v[4] ?? 0) ^ 0xff;
    rounds(v, 4);
    let [low, top] = [0, 0];
    for (let i = 0; i < 8; i += 2) {
      low ^= v[i] ?? 0;
      top ^= v[i + 1] ?? 0;
    }
    for (let i = 0; i < 4; i++) {
      target[at + i] = low >>> (8 * i);
      target[at + 4 + i] = top >>> (8 * i);
    }
  }
}

const INITIAL = [
  0x70736575, 0x736f6d65, 0x6e646f6d, 0x646f7261, 0x6e657261, 0x6c796765, 0x79746573, 0x74656462,
];

/** Four bytes, little-endian; from `end` on they are 0. */
function halfAt(bytes: Uint8Array, at: number, end: number): number {
  let half = 0;
  for (let i = 0; i < 4 && at + i < end; i++) half |= (bytes[at + i] ?? 0) << (8 * i);
  return half;
}

function absorb(v: Int32Array, low: number, high: number): void {
  v[6] = (v[6] ?? 0) ^ low;
  v[7] = (v[7] ?? 0) ^ high;
  rounds(v, 2);
  v[0] = (v[0] ?? 0) ^ low;
  v[1] = (v[1] ?? 0) ^ high;
}

/** In variables of its own, for each step reads what the one before has written. */
function rounds(v: Int32Array, count: number): void {
  let [a = 0, aTop = 0, b = 0, bTop = 0] = [v[0], v[1], v[2], v[3]];
  let [c = 0, cTop = 0, d = 0, dTop = 0] = [v[4], v[5], v[6], v[7]];
  let sum: number;
  let high: number;
  for (let i = 0; i < count; i++) {
    sum = (a >>> 0) + (b >>> 0);
    aTop = (aTop + bTop + (sum > LARGEST ? 1 : 0)) | 0;
    a = sum | 0;
    high = ((bTop << 13) | (b >>> 19)) ^ aTop;
    b = ((b << 13) | (bTop >>> 19)) ^ a;
    bTop = high;
    [a, aTop] = [aTop, a];
    sum = (c >>> 0) + (d >>> 0);
    cTop = (cTop + dTop + (sum > LARGEST ? 1 : 0)) | 0;
    c = sum | 0;
    high = ((dTop << 16) | (d >>> 16)) ^ cTop;
    d = ((d << 16) | (dTop >>> 16)) ^ c;
    dTop = high;
    sum = (a >>> 0) + (d >>> 0);
    aTop = (aTop + dTop + (sum > LARGEST ? 1 : 0)) | 0;
    a = sum | 0;
    high = ((dTop << 21) | (d >>> 11)) ^ aTop;
    d = ((d << 21) | (dTop >>> 11)) ^ a;
    dTop = high;
    sum = (c >>> 0) + (b >>> 0);
    cTop = (cTop + bTop + (sum > LARGEST ? 1 : 0)) | 0;
    c = sum | 0;
    high = ((bTop << 17) | (b >>> 15)) ^ cTop;
    b = ((b << 17) | (bTop >>> 15)) ^ c;
    bTop = high;
    [c, cTop] = [cTop, c];
  }
  v[0] = a;
  v[1] = aTop;
  v[2] = b;
  v[3] = bTop;
  v[4] = c;
  v[5] = cTop;
  v[6] = d;
  v[7] = dTop;
}

const LARGEST = 0xffff_ffff;
