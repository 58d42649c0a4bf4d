import { RCODE, TYPE } from '../wire/codes.ts';
import { keyOf, type Labels } from '../wire/names.ts';
import type { Denial, ResourceRecord, Response } from '../wire/response.ts';
import { setsOf, type ZoneSigner } from './zone-signer.ts';

export type Signers = ReadonlyMap<string, ZoneSigner>;

export interface SigningOptions {
  readonly signers: Signers;
  readonly nowSeconds: number;
  /** Whoever asks knows compact denial, and so may be told NXDOMAIN (RFC 9824 §5.1). */
  readonly knowsCompact: boolean;
}

/**
 * The response with signatures of all that is of our signed zones, and proof of what it denies: of the
 * name alone, so that no name is told that was not asked for (RFC 9824).
 */
export function signed(response: Response, options: SigningOptions): Response {
  const { signers, nowSeconds, knowsCompact } = options;
  const sign = (records: readonly ResourceRecord[]): readonly ResourceRecord[] =>
    setsOf(records).flatMap((set) => {
      const signer = signerOf(signers, set[0]?.name ?? []);
      return signer === undefined ? set : [...set, signer.signatureOf(set, nowSeconds)];
    });
  const { denial } = response;
  const isProven = denial !== undefined && signers.has(denial.zone);
  const proof = isProven ? [nsec(denial)] : [];
  const isHidden = isProven && response.rcode === RCODE.NXDOMAIN && !knowsCompact;
  return {
    ...response,
    rcode: isHidden ? RCODE.NOERROR : response.rcode,
    answers: sign(response.answers),
    authorities: sign([...response.authorities, ...proof]),
  };
}

/** Of the nearest zone above the name. */
function signerOf(signers: Signers, name: Labels): ZoneSigner | undefined {
  for (let i = 0; i <= name.length; i++) {
    const signer = signers.get(keyOf(name.slice(i)));
    if (signer !== undefined) return signer;
  }
  return undefined;
}

/** RFC 9824 §3: from the name to the first that could be behind it, with the types that it has. */
function nsec({ name, types, exists, ttlSeconds }: Denial): ResourceRecord {
  const own = exists ? types : [TYPE.NXNAME];
  const next = Buffer.concat([
    Buffer.of(1, 0),
    ...name.map((label) =>
      Buffer.concat([Buffer.of(label.length), Buffer.from(label.toLowerCase(), 'latin1')]),
    ),
    Buffer.of(0),
  ]);
  const rdata = Buffer.concat([next, typeBitMaps([...own, TYPE.RRSIG, TYPE.NSEC])]);
  return { name, ttlSeconds, data: { type: 'NSEC', rdata } };
}

/** RFC 4034 §4.1.2: windows of 256 types, each with as many bytes as it needs. */
function typeBitMaps(types: readonly number[]): Buffer {
  const windows = Map.groupBy(
    types.toSorted((a, b) => a - b),
    (type) => type >> 8,
  );
  return Buffer.concat(
    [...windows].map(([window, members]) => {
      const bits = Buffer.alloc((((members.at(-1) ?? 0) & 0xff) >> 3) + 1);
      for (const type of members) {
        const [at, bit] = [(type & 0xff) >> 3, 0x80 >> (type & 7)];
        bits[at] = (bits[at] ?? 0) | bit;
      }
      return Buffer.concat([Buffer.of(window, bits.length), bits]);
    }),
  );
}
