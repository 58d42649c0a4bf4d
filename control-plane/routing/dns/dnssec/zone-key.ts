import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
} from 'node:crypto';
import { labelsOf } from '../wire/names.ts';
import { MessageWriter } from '../wire/writer.ts';

/** ECDSAP256SHA256 (RFC 6605). */
export const ALGORITHM = 13;
/** A key of a zone that is also what its parent vouches for (RFC 4034 §2.1.1). */
const FLAGS = 257;
const PROTOCOL = 3;
/** SHA-256 (RFC 4509). */
const DIGEST_TYPE = 2;

/** What is to be put into the parent zone (RFC 4034 §5). */
export interface DelegationSigner {
  readonly keyTag: number;
  readonly algorithm: number;
  readonly digestType: number;
  /** Hexadecimal. */
  readonly digest: string;
}

/** A new private key: PKCS #8 in DER, base64url. */
export function newZoneKey(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64url');
}

/** The key that all of a zone is signed with. */
export class ZoneKey {
  readonly keyTag: number;
  /** Of the DNSKEY record. */
  readonly rdata: Buffer;
  readonly #private: KeyObject;

  /** @param text of `newZoneKey` */
  constructor(text: string) {
    const key = Buffer.from(text, 'base64url');
    this.#private = createPrivateKey({ key, format: 'der', type: 'pkcs8' });
    const { x = '', y = '' } = createPublicKey(this.#private).export({ format: 'jwk' });
    const head = Buffer.of(FLAGS >> 8, FLAGS & 0xff, PROTOCOL, ALGORITHM);
    const point = [x, y].map((half) => Buffer.from(half, 'base64url'));
    this.rdata = Buffer.concat([head, ...point]);
    this.keyTag = keyTagOf(this.rdata);
  }

  /** RFC 6605 §4: the two numbers one after the other, 64 bytes. */
  sign(data: Uint8Array): Buffer {
    return sign('sha256', data, { key: this.#private, dsaEncoding: 'ieee-p1363' });
  }

  /** RFC 4034 §5.1.4. */
  delegationSigner(zone: string): DelegationSigner {
    const writer = new MessageWriter();
    writer.plainName(labelsOf(zone));
    writer.bytes(this.rdata);
    const digest = createHash('sha256').update(writer.message()).digest('hex').toUpperCase();
    return { keyTag: this.keyTag, algorithm: ALGORITHM, digestType: DIGEST_TYPE, digest };
  }
}

/** RFC 4034, appendix B. */
function keyTagOf(rdata: Buffer): number {
  let sum = 0;
  for (const [i, byte] of rdata.entries()) sum += i % 2 === 0 ? byte << 8 : byte;
  return (sum + (sum >>> 16)) & 0xffff;
}
