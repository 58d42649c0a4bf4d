import { addressOf, type Prefix, shortened } from '../../engine/prefix.ts';
import { Malformed } from './reader.ts';

/** RFC 7873 §4. */
export interface Cookie {
  /** 8 bytes. */
  readonly client: Buffer;
  /** 8 to 32 bytes; absent where the client has none of ours yet. */
  readonly server?: Buffer;
}

const CLIENT_COOKIE_BYTES = 8;

export function readCookie(value: Buffer): Cookie {
  const serverBytes = value.length - CLIENT_COOKIE_BYTES;
  if (serverBytes !== 0 && (serverBytes < 8 || serverBytes > 32)) throw new Malformed('cookie');
  const client = value.subarray(0, CLIENT_COOKIE_BYTES);
  return serverBytes === 0 ? { client } : { client, server: value.subarray(CLIENT_COOKIE_BYTES) };
}

/** RFC 7871 §6: IANA's address family numbers. */
const FAMILIES: ReadonlyMap<number, 4 | 6> = new Map([
  [1, 4],
  [2, 6],
]);

/** RFC 7871 §7.1.2: neither too few nor too many octets, no bit set beyond the prefix, no scope. */
export function readClientSubnet(value: Buffer): Prefix {
  if (value.length < 4) throw new Malformed('client subnet');
  const family = FAMILIES.get(value.readUInt16BE(0));
  const [source = 0, scope = 0] = value.subarray(2, 4);
  const octets = value.subarray(4);
  if (family === undefined || scope !== 0 || octets.length !== Math.ceil(source / 8)) {
    throw new Malformed('client subnet');
  }
  const bytes = new Uint8Array(family === 4 ? 4 : 16);
  if (source > bytes.length * 8) throw new Malformed('client subnet');
  bytes.set(octets);
  const address: Prefix = { family, bytes, length: bytes.length * 8 };
  const subnet = shortened(address, source);
  if (!Buffer.from(subnet.bytes).equals(bytes)) throw new Malformed('client subnet');
  return subnet;
}

/** The network whose place counts: one of IPv4 in IPv6's notation is read as such. */
export function effectiveSubnet(subnet: Prefix): Prefix {
  const address = addressOf(subnet.bytes);
  if (address.family === subnet.family || subnet.length < 96) return subnet;
  return shortened(address, subnet.length - 96);
}

/** RFC 7871 §7.2.1: what the query said, with the scope for which the answer holds. */
export function writeClientSubnet({ family, bytes, length }: Prefix, scope: number): Buffer {
  const head = Buffer.from([0, family === 4 ? 1 : 2, length, scope]);
  return Buffer.concat([head, bytes.subarray(0, Math.ceil(length / 8))]);
}
