const MASK = 0xffff_ffff_ffff_ffffn;

/**
 * SipHash-2-4 (Aumasson and Bernstein 2012), as RFC 9018 §4.4 takes it: 8 bytes, little-endian.
 * @param key 16 bytes
 */
export function sipHash24(key: Buffer, message: Buffer): Buffer {
  const [k0, k1] = [key.readBigUInt64LE(0), key.readBigUInt64LE(8)];
  const state = [
    k0 ^ 0x736f6d6570736575n,
    k1 ^ 0x646f72616e646f6dn,
    k0 ^ 0x6c7967656e657261n,
    k1 ^ 0x7465646279746573n,
  ] as State;
  const whole = message.length - (message.length % 8);
  for (let at = 0; at < whole; at += 8) absorb(state, message.readBigUInt64LE(at));
  const last = Buffer.alloc(8);
  message.copy(last, 0, whole);
  last[7] = message.length & 0xff;
  absorb(state, last.readBigUInt64LE(0));
  state[2] ^= 0xffn;
  for (let i = 0; i < 4; i++) round(state);
  const hash = Buffer.alloc(8);
  hash.writeBigUInt64LE(state[0] ^ state[1] ^ state[2] ^ state[3]);
  return hash;
}

type State = [bigint, bigint, bigint, bigint];

function absorb(state: State, word: bigint): void {
  state[3] ^= word;
  round(state);
  round(state);
  state[0] ^= word;
}

function round(v: State): void {
  v[0] = (v[0] + v[1]) & MASK;
  v[1] = rotated(v[1], 13n) ^ v[0];
  v[0] = rotated(v[0], 32n);
  v[2] = (v[2] + v[3]) & MASK;
  v[3] = rotated(v[3], 16n) ^ v[2];
  v[0] = (v[0] + v[3]) & MASK;
  v[3] = rotated(v[3], 21n) ^ v[0];
  v[2] = (v[2] + v[1]) & MASK;
  v[1] = rotated(v[1], 17n) ^ v[2];
  v[2] = rotated(v[2], 32n);
}

const rotated = (word: bigint, by: bigint): bigint => ((word << by) | (word >> (64n - by))) & MASK;
