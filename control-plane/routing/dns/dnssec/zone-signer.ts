import { LRUCache } from 'lru-cache';
import { CLASS_IN, TYPE } from '../wire/codes.ts';
import { keyOf, type Labels, labelsOf } from '../wire/names.ts';
import { rdataOf, type ResourceRecord } from '../wire/response.ts';
import { MessageWriter } from '../wire/writer.ts';
import { ALGORITHM, ZoneKey } from './zone-key.ts';

/** Clocks of resolvers may be behind. */
const SKEW_SECONDS = 3600;
/** How long a signature is valid; one whose rest is less than half is made anew. */
const VALID_SECONDS = 4 * 86_400;

const MAX_SIGNATURES = 20_000;

interface Signature {
  readonly rdata: Buffer;
  readonly expiresAtSeconds: number;
}

/** Signs what is answered of one zone, when it is first answered, and remembers that. */
export class ZoneSigner {
  readonly zone: string;
  readonly key: ZoneKey;
  readonly #labels: Labels;
  /** By what is signed. */
  readonly #signatures = new LRUCache<string, Signature>({ max: MAX_SIGNATURES });

  /** @param key of `newZoneKey` */
  constructor(zone: string, key: string) {
    this.zone = zone;
    this.key = new ZoneKey(key);
    this.#labels = labelsOf(zone);
  }

  /** The RRSIG of records that have their name and type in common (RFC 4034 §3). */
  signatureOf(records: readonly ResourceRecord[], nowSeconds: number): ResourceRecord {
    const [first] = records;
    if (first === undefined) throw new Error('Nothing to sign');
    const { name, ttlSeconds } = first;
    const signed = canonical(first, records);
    const key = signed.toString('latin1');
    const known = this.#signatures.get(key);
    const isGood = known !== undefined && known.expiresAtSeconds - nowSeconds > VALID_SECONDS / 2;
    const signature = isGood ? known : this.#sign(first, signed, nowSeconds);
    if (!isGood) this.#signatures.set(key, signature);
    return { name, ttlSeconds, data: { type: 'RRSIG', rdata: signature.rdata } };
  }

  /** RFC 4034 §3.1.8.1: what is signed is all of the RRSIG before the signature, then the records. */
  #sign({ name, ttlSeconds, data }: ResourceRecord, signed: Buffer, nowSeconds: number): Signature {
    const expiresAtSeconds = nowSeconds + VALID_SECONDS;
    const writer = new MessageWriter();
    writer.uint16(TYPE[data.type]);
    writer.uint8(ALGORITHM);
    // What a wildcard stands for is signed as if it were there.
    writer.uint8(name.length);
    writer.uint32(ttlSeconds, expiresAtSeconds, nowSeconds - SKEW_SECONDS);
    writer.uint16(this.key.keyTag);
    writer.plainName(this.#labels);
    const head = writer.message();
    const signature = this.key.sign(Buffer.concat([head, signed]));
    return { rdata: Buffer.concat([head, signature]), expiresAtSeconds };
  }
}

/** Records in canonical form and order (RFC 4034 §6): names in lower case and whole. */
function canonical(
  { name, ttlSeconds, data: { type } }: ResourceRecord,
  records: readonly ResourceRecord[],
): Buffer {
  const writer = new MessageWriter();
  writer.plainName(name.map((label) => label.toLowerCase()));
  writer.uint16(TYPE[type], CLASS_IN);
  writer.uint32(ttlSeconds);
  const head = writer.message();
  return Buffer.concat(
    records
      .map(({ data }) => rdataOf(data))
      .toSorted((a, b) => Buffer.compare(a, b))
      .filter((rdata, i, all) => i === 0 || all[i - 1]?.equals(rdata) === false)
      .flatMap((rdata) => [head, Buffer.of(rdata.length >> 8, rdata.length & 0xff), rdata]),
  );
}

/** Records of one name and type together, in the order in which they came. */
export const setsOf = (records: readonly ResourceRecord[]): readonly ResourceRecord[][] => [
  ...Map.groupBy(records, ({ name, data }) => `${keyOf(name)} ${data.type}`).values(),
];
