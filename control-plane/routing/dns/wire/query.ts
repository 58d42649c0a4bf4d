import type { Prefix } from '../../engine/prefix.ts';
import { CLASS_IN, OPTION, RCODE, type Rcode, TYPE } from './codes.ts';
import type { Labels } from './names.ts';
import { type Cookie, readClientSubnet, readCookie } from './options.ts';
import { Malformed, MessageReader } from './reader.ts';

/** What a query says in its OPT record (RFC 6891). */
export interface Edns {
  readonly version: number;
  /** The largest UDP answer that the other side takes. */
  readonly payloadBytes: number;
  readonly wantsDnssec: boolean;
  /** Knows compact denial of existence (RFC 9824 §5.1). */
  readonly knowsCompact: boolean;
  readonly clientSubnet?: Prefix;
  readonly cookie?: Cookie;
  readonly wantsNsid: boolean;
}

export interface Question {
  /** In the case in which they came, which the answer repeats. */
  readonly labels: Labels;
  readonly type: number;
  readonly class: number;
}

/** A message that is a query, as far as it could be read. */
export interface Query {
  readonly id: number;
  readonly opcode: number;
  readonly recursionDesired: boolean;
  /** Absent where it could not be read, or there is not exactly one. */
  readonly question?: Question;
  readonly edns?: Edns;
  /** What is wrong with it, before anybody looks for an answer. */
  readonly error?: Rcode;
}

const HEADER_BYTES = 12;
const QUERY_OPCODE = 0;

/**
 * Reads what came in.
 * @returns `undefined` for what must not be answered: answers, and what is no DNS message at all
 */
export function readQuery(message: Buffer): Query | undefined {
  if (message.length < HEADER_BYTES) return undefined;
  const flags = message.readUInt16BE(2);
  if ((flags & 0x8000) !== 0) return undefined;
  const opcode = (flags >> 11) & 0xf;
  const head = { id: message.readUInt16BE(0), opcode, recursionDesired: (flags & 0x100) !== 0 };
  if (opcode !== QUERY_OPCODE) return { ...head, error: RCODE.NOTIMP };
  const counts = [4, 6, 8, 10].map((at) => message.readUInt16BE(at));
  const [questions = 0, answers = 0, authorities = 0, additional = 0] = counts;
  if (questions !== 1 || answers > 0 || authorities > 0) return { ...head, error: RCODE.FORMERR };
  const reader = new MessageReader(message, HEADER_BYTES);
  let question: Question | undefined;
  try {
    question = { labels: reader.name(), type: reader.uint16(), class: reader.uint16() };
    const edns = readAdditional(reader, additional);
    const all = { ...head, question, ...(edns !== undefined && { edns }) };
    if (edns !== undefined && edns.version > 0) return { ...all, error: RCODE.BADVERS };
    if (question.type === TYPE.OPT) return { ...all, error: RCODE.FORMERR };
    if (question.class !== CLASS_IN) return { ...all, error: RCODE.REFUSED };
    return all;
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    return { ...head, ...(question !== undefined && { question }), error: RCODE.FORMERR };
  }
}

function readAdditional(reader: MessageReader, count: number): Edns | undefined {
  let edns: Edns | undefined;
  for (let i = 0; i < count; i++) {
    const owner = reader.name();
    const type = reader.uint16();
    const payloadBytes = reader.uint16();
    const [, version, flags] = [reader.uint8(), reader.uint8(), reader.uint16()];
    const data = reader.bytes(reader.uint16());
    if (type !== TYPE.OPT) continue;
    // RFC 6891 §6.1.1: of the root, and only one.
    if (edns !== undefined || owner.length > 0) throw new Malformed('OPT');
    edns = {
      version,
      payloadBytes,
      wantsDnssec: (flags & 0x8000) !== 0,
      knowsCompact: (flags & 0x4000) !== 0,
      // The options of another version may mean anything.
      ...(version === 0 ? readOptions(data) : { wantsNsid: false }),
    };
  }
  if (!reader.isAtEnd) throw new Malformed('trailing bytes');
  return edns;
}

function readOptions(data: Buffer): Pick<Edns, 'clientSubnet' | 'cookie' | 'wantsNsid'> {
  const reader = new MessageReader(data, 0);
  const options = new Map<number, Buffer>();
  while (!reader.isAtEnd) {
    const code = reader.uint16();
    const value = reader.bytes(reader.uint16());
    if (code === OPTION.CLIENT_SUBNET && options.has(code)) throw new Malformed('two subnets');
    // RFC 7873 §5.2: of several cookies the first counts.
    if (!options.has(code)) options.set(code, value);
  }
  const subnet = options.get(OPTION.CLIENT_SUBNET);
  const cookie = options.get(OPTION.COOKIE);
  return {
    ...(subnet !== undefined && { clientSubnet: readClientSubnet(subnet) }),
    ...(cookie !== undefined && { cookie: readCookie(cookie) }),
    wantsNsid: options.has(OPTION.NSID),
  };
}
