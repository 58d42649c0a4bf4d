import { LRUCache } from 'lru-cache';
import type { Clock } from '#core/clock.ts';
import { messageOf } from '#core/errors.ts';
import { addressOf, parseAddress, type Prefix } from '../engine/prefix.ts';
import { answer, type AnswerSource } from './answer.ts';
import { AnswerCache } from './answer-cache.ts';
import { COOKIE_BYTES, type Cookies } from './cookies.ts';
import type { DnsCounters, Transport } from './counters.ts';
import { signed } from './dnssec/signed.ts';
import { Outline } from './outline.ts';
import type { RateLimit, Verdict } from './rate-limit.ts';
import { OPTION, RCODE } from './wire/codes.ts';
import { type Cookie, effectiveSubnet, readCookie, writeClientSubnet } from './wire/options.ts';
import { type Edns, type Query, type Question, readQuery } from './wire/query.ts';
import { bare, type Envelope, type Response, truncated, writeResponse } from './wire/response.ts';

/** What fits into one packet on nearly every way (DNS flag day 2020). */
const UDP_BYTES = 1232;
/** RFC 1035 §4.2.1: of those who do not speak EDNS. */
const PLAIN_UDP_BYTES = 512;
const TCP_BYTES = 65_535;

/** Addresses that are remembered as they are read from text. */
const MAX_PEERS = 10_000;

const OPTION_HEAD_BYTES = 4;
const COOKIE_OPTION_BYTES = OPTION_HEAD_BYTES + COOKIE_BYTES;
const COOKIE_HEAD = Uint8Array.of(0, OPTION.COOKIE, 0, COOKIE_BYTES);

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
  readonly #outline = new Outline();
  readonly #peers = new LRUCache<string, Prefix>({ max: MAX_PEERS });

  constructor(options: ResponderOptions) {
    this.#options = options;
  }

  /** @param peer address of whoever sent it. @returns `undefined`: nothing is to be sent */
  respond(message: Buffer, peer: string, transport: Transport): Buffer | undefined {
    const outline = this.#outline;
    const situation = this.#options.source()?.situation();
    if (situation === undefined || !outline.read(message)) {
      return this.#respond(message, peer, transport, undefined);
    }
    const answers = this.#answers[transport];
    const nowMs = this.#options.clock.monotonicMs();
    if (!answers.find(outline, message, peer, situation, nowMs)) {
      return this.#respond(message, peer, transport, answers);
    }
    const { cookieAt, nameEnd } = outline;
    if (cookieAt === 0 && (transport === 'tcp' || this.#options.rateLimit.isOff)) {
      this.#options.counters.answered(answers.place);
      return answers.readdressed(message, nameEnd, 0);
    }
    const cookie = cookieAt === 0 ? undefined : readCookie(outline.cookie(message));
    const client = this.#addressOf(peer);
    const verdict = client && this.#verdict(client, cookie, transport);
    // Rare, and not as it is known.
    if (client === undefined || verdict !== 'send') {
      return this.#respond(message, peer, transport, undefined, verdict);
    }
    this.#options.counters.answered(answers.place);
    const cookies = cookie && this.#options.cookies();
    const room = cookies === undefined ? 0 : COOKIE_OPTION_BYTES;
    const sent = answers.readdressed(message, nameEnd, room);
    if (cookies !== undefined) this.#bake(cookies, cookie, client, sent, answers.optionsAt);
    return sent;
  }

  /**
   * Reads the query in full, and answers it.
   * @param answers those that this one is kept with, where it may be
   * @param told what the rate limit has said, where it has been asked
   */
  #respond(
    message: Buffer,
    peer: string,
    transport: Transport,
    answers: AnswerCache | undefined,
    told?: Verdict,
  ): Buffer | undefined {
    const { counters, clock } = this.#options;
    const query = readQuery(message);
    const client = this.#addressOf(peer);
    if (query === undefined || client === undefined) {
      counters.ignored++;
      return undefined;
    }
    const { response, scopeLength } = this.#outcome(query, client);
    const place = counters.placeOf(transport, query.question?.type, response.rcode);
    counters.answered(place);
    const cookie = query.edns?.cookie;
    const verdict = told ?? this.#verdict(client, cookie, transport);
    if (verdict === 'drop') {
      counters.dropped++;
      return undefined;
    }
    if (verdict === 'truncate') counters.slipped++;
    const cookies = cookie && this.#options.cookies();
    const room = sizeFor(query.edns, transport);
    const envelope = this.#envelope(query, scopeLength);
    const written =
      verdict === 'truncate'
        ? truncated(envelope, response)
        : writeResponse(
            envelope,
            response,
            room - (cookies === undefined ? 0 : COOKIE_OPTION_BYTES),
          );
    if (verdict === 'send' && (written.readUInt16BE(2) & 0x200) !== 0) counters.truncated++;
    const optionsAt = written.length - optionBytes(envelope) - 2;
    // Others who ask for it may bring a cookie.
    if (written.length + COOKIE_OPTION_BYTES <= room && verdict === 'send') {
      answers?.keep(written, place, optionsAt, clock.monotonicMs());
    }
    if (cookies === undefined) return written;
    const sent = Buffer.concat([written, Buffer.alloc(COOKIE_OPTION_BYTES)]);
    this.#bake(cookies, cookie, client, sent, optionsAt);
    return sent;
  }

  #addressOf(peer: string): Prefix | undefined {
    const known = this.#peers.get(peer);
    if (known !== undefined) return known;
    const address = parseAddress(peer.replace(/%.*/, ''));
    if (address !== undefined) this.#peers.set(peer, address);
    return address;
  }

  /** Who comes by TCP, or brings back our cookie, has proved its address. */
  #verdict(client: Prefix, cookie: Cookie | undefined, transport: Transport): Verdict {
    const { clock, cookies, rateLimit } = this.#options;
    if (transport === 'tcp' || rateLimit.isOff) return 'send';
    const isProven =
      cookie !== undefined && cookies()?.proves(cookie, client.bytes, clock.now()) === true;
    return isProven ? 'send' : rateLimit.take(client, clock.monotonicMs());
  }

  /** Writes a cookie into the room at the end of an answer, whose last record is the OPT. */
  #bake(
    cookies: Cookies,
    cookie: Cookie | undefined,
    { bytes }: Prefix,
    message: Buffer,
    optionsAt: number,
  ): void {
    if (cookie === undefined) return;
    const at = message.length - COOKIE_OPTION_BYTES;
    message.set(COOKIE_HEAD, at);
    cookies.write(cookie, bytes, this.#options.clock.now(), message, at + OPTION_HEAD_BYTES);
    message.writeUInt16BE(message.length - optionsAt - 2, optionsAt);
  }

  #outcome({ error, question, edns }: Query, client: Prefix): Outcome {
    if (error !== undefined || question === undefined) return alone(error ?? RCODE.FORMERR);
    const source = this.#options.source();
    if (source === undefined) return alone(RCODE.SERVFAIL);
    try {
      const found = answer(source, question, clientOf(edns, client));
      const { signers } = source;
      if (edns?.wantsDnssec !== true || signers.size === 0) return found;
      const nowSeconds = Math.floor(this.#options.clock.now() / 1000);
      const { knowsCompact } = edns;
      return { ...found, response: signed(found.response, { signers, nowSeconds, knowsCompact }) };
    } catch (failure) {
      this.#options.onError(messageOf(failure));
      return alone(RCODE.SERVFAIL);
    }
  }

  #envelope(query: Query, scopeLength: number): Envelope {
    const { id, opcode, recursionDesired, question, edns } = query;
    const head = { id, opcode, recursionDesired, question };
    if (edns === undefined) return { ...head, edns: undefined };
    const options = [...this.#answerOptions(edns, scopeLength, question)];
    const { wantsDnssec } = edns;
    return { ...head, edns: { payloadBytes: UDP_BYTES, wantsDnssec, options } };
  }

  /** All but the cookie, which is put behind them. */
  *#answerOptions(
    edns: Edns,
    scopeLength: number,
    question: Question | undefined,
  ): Iterable<readonly [number, Buffer]> {
    const { clientSubnet } = edns;
    if (clientSubnet !== undefined && question !== undefined) {
      // RFC 7871 §7.2.1: who does not want to be told by address is not.
      const isMapped = effectiveSubnet(clientSubnet).family !== clientSubnet.family;
      const scope = clientSubnet.length === 0 ? 0 : scopeLength;
      const scopeBits = isMapped && scope > 0 ? scope + 96 : scope;
      yield [OPTION.CLIENT_SUBNET, writeClientSubnet(clientSubnet, scopeBits)];
    }
    if (edns.wantsNsid) yield [OPTION.NSID, Buffer.from(this.#options.name)];
  }
}

const optionBytes = ({ edns }: Envelope): number =>
  (edns?.options ?? []).reduce((sum, [, value]) => sum + OPTION_HEAD_BYTES + value.length, 0);

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
