import type { Clock } from '#core/clock.ts';
import { messageOf } from '#core/errors.ts';
import { addressOf, parseAddress, type Prefix } from '../engine/prefix.ts';
import { answer, type AnswerSource } from './answer.ts';
import { AnswerCache, endOfName, keyOf, readdressed } from './answer-cache.ts';
import type { Cookies } from './cookies.ts';
import type { DnsCounters, Transport } from './counters.ts';
import type { RateLimit, Verdict } from './rate-limit.ts';
import { OPTION, RCODE } from './wire/codes.ts';
import { effectiveSubnet, writeClientSubnet } from './wire/options.ts';
import { type Edns, type Query, type Question, readQuery } from './wire/query.ts';
import { bare, type Envelope, type Response, truncated, writeResponse } from './wire/response.ts';

/** What fits into one packet on nearly every way (DNS flag day 2020). */
const UDP_BYTES = 1232;
/** RFC 1035 §4.2.1: of those who do not speak EDNS. */
const PLAIN_UDP_BYTES = 512;
const TCP_BYTES = 65_535;

export interface ResponderOptions {
  readonly clock: Clock;
  /** `undefined` before there is a configuration. */
  readonly source: () => AnswerSource | undefined;
  readonly cookies: () => Cookies | undefined;
  readonly rateLimit: RateLimit;
  readonly counters: DnsCounters;
  /** What NSID tells (RFC 5001): the node's name. */
  readonly name: string;
  readonly onError: (message: string) => void;
}

/** What one query comes to. */
interface Outcome {
  readonly response: Response;
  /** Of the answer's client subnet option. */
  readonly scopeLength: number;
}

/** Answers messages, whatever they come by. */
export class Responder {
  readonly #options: ResponderOptions;
  readonly #answers = { udp: new AnswerCache(), tcp: new AnswerCache() };

  constructor(options: ResponderOptions) {
    this.#options = options;
  }

  /** @param peer address of whoever sent it. @returns `undefined`: nothing is to be sent */
  respond(message: Buffer, peer: string, transport: Transport): Buffer | undefined {
    const { counters, clock, source } = this.#options;
    const end = endOfName(message);
    const situation = end === 0 ? undefined : source()?.situation();
    if (situation === undefined) return this.#respond(message, peer, transport);
    const key = keyOf(message, end);
    const nowMs = clock.monotonicMs();
    const answers = this.#answers[transport];
    const known = answers.find(key, situation, nowMs);
    if (known === undefined) {
      const made = this.#respond(message, peer, transport);
      answers.keep(key, made, nowMs);
      return made;
    }
    const verdict = this.#verdict(peer, transport, nowMs);
    if (verdict !== 'send') return this.#respond(message, peer, transport, verdict);
    counters.answered(transport, message.readUInt16BE(end + 1), known.rcode);
    return readdressed(known, message, end);
  }

  #verdict(peer: string, transport: Transport, nowMs: number): Verdict {
    const { rateLimit } = this.#options;
    const client = transport === 'tcp' || rateLimit.isOff ? undefined : addressOfPeer(peer);
    return client === undefined ? 'send' : rateLimit.take(client, nowMs);
  }

  /** @param known what the rate limit has said, where it has been asked */
  #respond(
    message: Buffer,
    peer: string,
    transport: Transport,
    known?: Verdict,
  ): Buffer | undefined {
    const { counters, clock, rateLimit } = this.#options;
    const query = readQuery(message);
    const client = addressOfPeer(peer);
    if (query === undefined || client === undefined) {
      counters.ignored++;
      return undefined;
    }
    const { response, scopeLength } = this.#outcome(query, client);
    counters.answered(transport, query.question?.type, response.rcode);
    const isProven = this.#isProven(query.edns, client);
    const isFree = transport === 'tcp' || isProven;
    const verdict = known ?? (isFree ? 'send' : rateLimit.take(client, clock.monotonicMs()));
    if (verdict === 'drop') {
      counters.dropped++;
      return undefined;
    }
    const envelope = this.#envelope(query, client, scopeLength);
    if (verdict === 'truncate') {
      counters.slipped++;
      return truncated(envelope, response);
    }
    const written = writeResponse(envelope, response, sizeFor(query.edns, transport));
    if ((written.readUInt16BE(2) & 0x200) !== 0) counters.truncated++;
    return written;
  }

  #outcome({ error, question, edns }: Query, client: Prefix): Outcome {
    if (error !== undefined || question === undefined) return alone(error ?? RCODE.FORMERR);
    const source = this.#options.source();
    if (source === undefined) return alone(RCODE.SERVFAIL);
    try {
      return answer(source, question, clientOf(edns, client));
    } catch (failure) {
      this.#options.onError(messageOf(failure));
      return alone(RCODE.SERVFAIL);
    }
  }

  #isProven(edns: Edns | undefined, client: Prefix): boolean {
    const cookies = this.#options.cookies();
    if (edns?.cookie === undefined || cookies === undefined) return false;
    return cookies.proves(edns.cookie, client.bytes, this.#options.clock.now());
  }

  #envelope(query: Query, client: Prefix, scopeLength: number): Envelope {
    const { id, opcode, recursionDesired, question, edns } = query;
    const head = { id, opcode, recursionDesired, question };
    if (edns === undefined) return { ...head, edns: undefined };
    const options = [...this.#answerOptions(edns, client, scopeLength, question)];
    const { wantsDnssec } = edns;
    return { ...head, edns: { payloadBytes: UDP_BYTES, wantsDnssec, options } };
  }

  *#answerOptions(
    edns: Edns,
    client: Prefix,
    scopeLength: number,
    question: Question | undefined,
  ): Iterable<readonly [number, Buffer]> {
    const { clock, cookies, name } = this.#options;
    const { clientSubnet, cookie } = edns;
    if (clientSubnet !== undefined && question !== undefined) {
      // RFC 7871 §7.2.1: who does not want to be told by address is not.
      const isMapped = effectiveSubnet(clientSubnet).family !== clientSubnet.family;
      const scope = clientSubnet.length === 0 ? 0 : scopeLength;
      const scopeBits = isMapped && scope > 0 ? scope + 96 : scope;
      yield [OPTION.CLIENT_SUBNET, writeClientSubnet(clientSubnet, scopeBits)];
    }
    const made = cookie && cookies()?.answer(cookie, client.bytes, clock.now());
    if (made !== undefined) yield [OPTION.COOKIE, made];
    if (edns.wantsNsid) yield [OPTION.NSID, Buffer.from(name)];
  }
}

const addressOfPeer = (peer: string): Prefix | undefined => parseAddress(peer.replace(/%.*/, ''));

/** Whom the answer is for: the client that the resolver tells of, else the resolver. */
function clientOf(edns: Edns | undefined, peer: Prefix): Prefix {
  const subnet = edns?.clientSubnet;
  if (subnet === undefined || subnet.length === 0) return peer;
  // Its first address: how far an answer reaches depends on what is known, not on what was asked.
  return addressOf(effectiveSubnet(subnet).bytes);
}

function sizeFor(edns: Edns | undefined, transport: Transport): number {
  if (transport === 'tcp') return TCP_BYTES;
  if (edns === undefined) return PLAIN_UDP_BYTES;
  return Math.min(UDP_BYTES, Math.max(PLAIN_UDP_BYTES, edns.payloadBytes));
}

/** Nothing but a code. */
const alone = (rcode: Response['rcode']): Outcome => ({ response: bare(rcode), scopeLength: 0 });
