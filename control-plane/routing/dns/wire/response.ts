import type { CaaValue } from '#core/contract/routing.ts';
import { parseAddress } from '../../engine/prefix.ts';
import { CLASS_IN, RCODE, type Rcode, TYPE } from './codes.ts';
import { type Labels, labelsOf } from './names.ts';
import type { Question } from './query.ts';
import { MessageWriter } from './writer.ts';

/** What a record holds. */
export type RecordData =
  | { readonly type: 'A' | 'AAAA'; readonly address: string }
  | { readonly type: 'CNAME' | 'NS'; readonly target: string }
  | {
      readonly type: 'SOA';
      readonly primary: string;
      readonly mailbox: string;
      readonly serial: number;
      readonly refreshSeconds: number;
      readonly retrySeconds: number;
      readonly expireSeconds: number;
      readonly negativeTtlSeconds: number;
    }
  | { readonly type: 'TXT'; readonly text: string }
  | ({ readonly type: 'CAA' } & CaaValue)
  /** What is only ever written. */
  | { readonly type: 'DNSKEY' | 'NSEC' | 'RRSIG'; readonly rdata: Uint8Array }
  | { readonly type: 'HINFO'; readonly cpu: string; readonly os: string }
  | {
      readonly type: 'HTTPS' | 'SVCB';
      readonly priority: number;
      /** Empty: the owner itself. */
      readonly target: string;
      readonly alpn: readonly string[];
      readonly port?: number;
      readonly ipv4Hints: readonly string[];
      readonly ipv6Hints: readonly string[];
    };

export interface ResourceRecord {
  readonly name: Labels;
  readonly ttlSeconds: number;
  readonly data: RecordData;
}

/** That a name does not exist, or has no records of the type that was asked for. */
export interface Denial {
  readonly name: Labels;
  readonly zone: string;
  /** Whether there is something at or below the name. */
  readonly exists: boolean;
  /** Those that it has. */
  readonly types: readonly number[];
  /** For how long that holds. */
  readonly ttlSeconds: number;
}

/** What is answered; the sections in their order. */
export interface Response {
  readonly rcode: Rcode;
  readonly isAuthoritative: boolean;
  readonly answers: readonly ResourceRecord[];
  readonly authorities: readonly ResourceRecord[];
  readonly additional: readonly ResourceRecord[];
  /** Of a negative answer. */
  readonly denial?: Denial;
}

/** What the answer's OPT record says; absent where the query had none (RFC 6891 §6.1.1). */
export interface ResponseEdns {
  readonly payloadBytes: number;
  readonly wantsDnssec: boolean;
  /** By code. */
  readonly options: readonly (readonly [code: number, value: Buffer])[];
}

export interface Envelope {
  readonly id: number;
  readonly opcode: number;
  readonly recursionDesired: boolean;
  readonly question: Question | undefined;
  readonly edns: ResponseEdns | undefined;
}

/**
 * Writes an answer. Where it is longer than `maxBytes`, additional records are left out, and if
 * that is not enough, everything, with TC set (RFC 2181 §9): whoever asked comes again by TCP.
 */
export function writeResponse(envelope: Envelope, response: Response, maxBytes: number): Buffer {
  return (
    writeUpTo(maxBytes, envelope, response) ??
    writeUpTo(maxBytes, envelope, { ...response, additional: [] }) ??
    truncated(envelope, response)
  );
}

/** The answer with nothing in it but that it is truncated. */
export function truncated(envelope: Envelope, response: Response): Buffer {
  return encode(envelope, { ...response, answers: [], authorities: [], additional: [] }, true);
}

function writeUpTo(maxBytes: number, envelope: Envelope, response: Response): Buffer | undefined {
  try {
    const message = encode(envelope, response, false);
    return message.length <= maxBytes ? message : undefined;
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

const FLAG = { QR: 0x8000, AA: 0x400, TC: 0x200, RD: 0x100 } as const;

function encode(envelope: Envelope, response: Response, isTruncated: boolean): Buffer {
  const { question, edns } = envelope;
  const { rcode, answers, authorities, additional } = response;
  const writer = new MessageWriter();
  const flags =
    FLAG.QR |
    (envelope.opcode << 11) |
    (response.isAuthoritative ? FLAG.AA : 0) |
    (isTruncated ? FLAG.TC : 0) |
    (envelope.recursionDesired ? FLAG.RD : 0) |
    (rcode & 0xf);
  writer.uint16(envelope.id, flags, question === undefined ? 0 : 1);
  writer.uint16(answers.length, authorities.length);
  writer.uint16(additional.length + (edns === undefined ? 0 : 1));
  if (question !== undefined) {
    writer.name(question.labels);
    writer.uint16(question.type, question.class);
  }
  for (const record of [...answers, ...authorities, ...additional]) writeRecord(writer, record);
  if (edns !== undefined) writeOpt(writer, edns, rcode);
  return writer.message();
}

function writeRecord(writer: MessageWriter, { name, ttlSeconds, data }: ResourceRecord): void {
  writer.name(name);
  writer.uint16(TYPE[data.type], CLASS_IN);
  writer.uint32(ttlSeconds);
  writer.sized(() => writeData(writer, data));
}

/** The record's data as it is signed: names whole (RFC 4034 §6.2). */
export function rdataOf(data: RecordData): Buffer {
  const writer = new MessageWriter({ isCompressed: false });
  writeData(writer, data);
  return writer.message();
}

function writeData(writer: MessageWriter, data: RecordData): void {
  switch (data.type) {
    case 'A':
    case 'AAAA':
      return writer.bytes(addressBytes(data.address));
    case 'CNAME':
    case 'NS':
      return writer.name(labelsOf(data.target));
    case 'SOA': {
      writer.name(labelsOf(data.primary));
      writer.name(labelsOf(data.mailbox));
      return writer.uint32(
        data.serial,
        data.refreshSeconds,
        data.retrySeconds,
        data.expireSeconds,
        data.negativeTtlSeconds,
      );
    }
    case 'DNSKEY':
    case 'NSEC':
    case 'RRSIG':
      return writer.bytes(data.rdata);
    case 'TXT':
      return writer.texts(data.text);
    case 'HINFO':
      writer.text(Buffer.from(data.cpu));
      return writer.text(Buffer.from(data.os));
    case 'CAA':
      writer.uint8(data.critical ? 0x80 : 0);
      writer.text(Buffer.from(data.tag));
      return writer.bytes(Buffer.from(data.value));
    case 'HTTPS':
    case 'SVCB':
      return writeService(writer, data);
  }
}

/** RFC 9460 §14.3.2. */
const PARAMETER = { alpn: 1, port: 3, ipv4hint: 4, ipv6hint: 6 } as const;

/** RFC 9460 §2.2: the target uncompressed, the parameters by ascending key. */
function writeService(
  writer: MessageWriter,
  data: Extract<RecordData, { readonly type: 'HTTPS' | 'SVCB' }>,
): void {
  const { alpn, port, ipv4Hints, ipv6Hints } = data;
  const parameter = (key: number, write: () => void): void => {
    writer.uint16(key);
    writer.sized(write);
  };
  writer.uint16(data.priority);
  writer.plainName(labelsOf(data.target));
  if (alpn.length > 0) {
    parameter(PARAMETER.alpn, () => {
      for (const protocol of alpn) writer.text(Buffer.from(protocol));
    });
  }
  if (port !== undefined) parameter(PARAMETER.port, () => writer.uint16(port));
  if (ipv4Hints.length > 0) {
    parameter(PARAMETER.ipv4hint, () => {
      for (const hint of ipv4Hints) writer.bytes(addressBytes(hint));
    });
  }
  if (ipv6Hints.length > 0) {
    parameter(PARAMETER.ipv6hint, () => {
      for (const hint of ipv6Hints) writer.bytes(addressBytes(hint));
    });
  }
}

function writeOpt(writer: MessageWriter, edns: ResponseEdns, rcode: Rcode): void {
  writer.name([]);
  writer.uint16(TYPE.OPT, edns.payloadBytes);
  // RFC 6891 §6.1.3: the upper bits of the code, version 0, the DO bit as it came.
  writer.uint8(rcode >> 4);
  writer.uint8(0);
  writer.uint16(edns.wantsDnssec ? 0x8000 : 0);
  writer.sized(() => {
    for (const [code, value] of edns.options) {
      writer.uint16(code);
      writer.sized(() => writer.bytes(value));
    }
  });
}

function addressBytes(text: string): Uint8Array {
  const address = parseAddress(text);
  if (address === undefined) throw new Error(`${text} is no address`);
  return address.bytes;
}

/** An answer that has nothing but its code. */
export const bare = (rcode: Rcode): Response => ({
  rcode,
  isAuthoritative: false,
  answers: [],
  authorities: [],
  additional: [],
});

export const refused: Response = bare(RCODE.REFUSED);
