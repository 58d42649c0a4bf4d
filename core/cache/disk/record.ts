import { hash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { StoredObject } from '#core/cache/object.ts';

/** Where a variant's body is: in the file of that number, or in the record itself. */
export interface BodyPlace {
  /** Bytes. */
  readonly size: number;
  readonly file?: number | undefined;
}

/** One variant without what all variants under a key have in common. */
export type Variant = Omit<StoredObject, 'key' | 'site' | 'body'> & {
  readonly at: BodyPlace;
  /** Which of the journals that the store has followed, from 0, its `asOf` is of. */
  readonly era?: number | undefined;
};

/** The fence of a variant in the journal that is followed now: of another one's it tells nothing. */
export const asOfIn = ({ era = 0, asOf }: Pick<Variant, 'era' | 'asOf'>, now: number): number =>
  era === now ? asOf : 0;

/** All that the index has of one key. */
export interface KeyRecord {
  readonly key: string;
  readonly site: string;
  /** Ms since the epoch; `Infinity`: not of itself. */
  readonly expiresAt: number;
  /** Latest first. */
  readonly variants: readonly Variant[];
  /** Of each variant its body, where that is in the record. */
  readonly bodies: readonly (Buffer | undefined)[];
}

/** By what a key is found: LMDB takes no keys as long as ours may be. */
export const keyHash = (key: string): string => hash('sha256', key, 'base64url').slice(0, 22);

/** 32 bits of a `keyHash`, for tables in memory. */
export function shortHash(name: string): number {
  let short = 0;
  for (let i = 0; i < 8; i++) short = Math.imul(short ^ name.charCodeAt(i), 0x9e3779b1);
  return (short ^ (short >>> 15)) >>> 0;
}

/** CRC-32 of the rest, length of the head, `expiresAt`; the head as JSON; the bodies. */
const HEAD_OFFSET = 16;

export function encodeRecord({ key, site, expiresAt, variants, bodies }: KeyRecord): Buffer {
  const head = Buffer.from(JSON.stringify({ key, site, variants }));
  const prefix = Buffer.alloc(HEAD_OFFSET);
  prefix.writeUInt32LE(head.length, 4);
  prefix.writeDoubleLE(expiresAt, 8);
  const record = Buffer.concat([prefix, head, ...bodies.filter((body) => body !== undefined)]);
  record.writeUInt32LE(crc32(record.subarray(4)), 0);
  return record;
}

/** @returns `undefined`: damaged */
export function decodeRecord(bytes: Buffer): KeyRecord | undefined {
  if (bytes.length < HEAD_OFFSET) return undefined;
  if (crc32(bytes.subarray(4)) !== bytes.readUInt32LE(0)) return undefined;
  let offset = HEAD_OFFSET + bytes.readUInt32LE(4);
  const head = JSON.parse(bytes.toString('utf8', HEAD_OFFSET, offset)) as Omit<KeyRecord, 'bodies'>;
  const bodies = head.variants.map(({ at }) => {
    if (at.file !== undefined) return undefined;
    const body = bytes.subarray(offset, offset + at.size);
    offset += at.size;
    return body;
  });
  return { ...head, expiresAt: bytes.readDoubleLE(8), bodies };
}

/** `expiresAt` of a record that is not decoded for that. */
export const expiryOf = (bytes: Buffer): number =>
  bytes.length < HEAD_OFFSET ? 0 : bytes.readDoubleLE(8);

const PAGE_BYTES = 4096;
/** Above this LMDB gives a value pages of its own. */
const LARGEST_IN_PAGE = 2000;
/** Keys and headers in the databases of the index, and the slack of their pages. Measured, rounded up. */
const ENTRY_BYTES = 256;

/** What a record of so many bytes costs on disk. */
export const recordCost = (bytes: number): number =>
  bytes <= LARGEST_IN_PAGE ? bytes + ENTRY_BYTES : inPages(bytes + 24) + ENTRY_BYTES;

export const inPages = (bytes: number): number => Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES;
