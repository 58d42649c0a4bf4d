import { STATUS_CODES } from 'node:http';
import { answerFromStored } from '#core/cache/answer.ts';
import type { HeldObject } from '#core/cache/object.ts';
import { currentAgeMs, decide } from '#core/cache/policy/decide.ts';
import { freshness } from '#core/cache/policy/freshness.ts';
import { jitter } from '#core/cache/policy/jitter.ts';
import type { ServedSite } from '#core/cache/served-site.ts';
import { type Fields, fieldLines } from '#core/http/fields.ts';
import type { ClientRequest } from '#core/http/request.ts';
import { signedFields } from '#core/serving/deliver.ts';
import { UNPACED_CHUNKS } from '#core/serving/exchange.ts';
import type { Counter, Counters } from '#core/telemetry/counters.ts';
import { decidedOutcome, type Outcome } from '#core/telemetry/cache-status.ts';
import { clientFields } from '../client-fields.ts';
import type { Ruled } from './routes.ts';

/** An answer whose bytes are all there. */
export interface Prepared {
  readonly status: number;
  /** Bytes of content. */
  readonly size: number;
  readonly head: Buffer;
  /** Head and content in one, where the content is small. */
  readonly joined: Buffer | undefined;
  readonly content: readonly Buffer[];
  readonly counter: Counter;
}

/** A fresh object as it is answered within one moment of time. */
export interface PreparedObject extends Prepared {
  /** Wall time from and until when it holds: then the age or what is left of the freshness is another. */
  readonly fromMs: number;
  readonly untilMs: number;
  readonly outcome: Outcome;
  /** The object as the client is to have it. */
  readonly shown: HeldObject;
  /** What conditions and ranges, by their lines, have been answered with; see `MAX_PARTS`. */
  parts: Map<string, Prepared> | undefined;
}

/** Content up to so many bytes is joined to its head: copying it costs less than a second piece to write. */
const JOINED_BYTES = 16 * 1024;

/** What an answer is made of beside the object. */
export interface LaneRequest extends Pick<
  ClientRequest,
  'method' | 'scheme' | 'target' | 'fields'
> {
  readonly site: ServedSite;
  readonly node: string;
  readonly counters: Counters;
  readonly ruled: Ruled | undefined;
  /** Fields of the guards. */
  readonly announced: Fields;
  /** How long the connection may be idle, ms. */
  readonly keepAliveMs: number;
}

/**
 * The answer to a plain GET, if it is fresh and can be sent at once.
 * @param shown the object as the client is to have it
 */
export function prepare(
  object: HeldObject,
  shown: HeldObject,
  request: LaneRequest,
  now: number,
): PreparedObject | undefined {
  const { site } = request;
  if (now < object.receivedAt || shown.body.chunks.length > UNPACED_CHUNKS) return undefined;
  const settings = site.cacheFor(request.target, object.facts);
  const given = jitter(object.key, site.cache.jitterFraction);
  const decision = decide({
    method: 'GET',
    hasContent: false,
    clientDirectives: undefined,
    fromTier: false,
    stored: object,
    settings,
    onLeaseEnd: site.onLeaseEnd,
    leaseEnded: false,
    knownChanged: false,
    fenceBehind: false,
    hitForMiss: false,
    refreshFailing: false,
    jitter: given,
    // Whether it is refreshed ahead is for the engine to say, with all that it remembers.
    inDemand: site.cache.refreshAhead > 0,
    now,
  });
  if (decision.reason !== 'fresh') return undefined;
  const outcome = decidedOutcome(decision);
  const answered = prepareFor(shown, request, outcome, now);
  if (answered === undefined || answered.status !== object.facts.status) return undefined;
  const freshForMs = freshness(object.facts, settings).freshForMs * (1 - given);
  const ahead = site.cache.refreshAhead > 0 ? settings.refreshAhead : 0;
  return {
    ...answered,
    fromMs: now,
    untilMs: now + holdsForMs(object, freshForMs, ahead, now),
    outcome,
    shown,
    parts: undefined,
  };
}

/** Until the next full second of its age, of its freshness, or of the clock if that dates it; or the end of its freshness. */
function holdsForMs(object: HeldObject, freshForMs: number, ahead: number, now: number): number {
  const ageMs = currentAgeMs(object, now);
  const leftMs = freshForMs - ageMs;
  return Math.min(
    1000 - (ageMs % 1000),
    leftMs - (Math.ceil(leftMs / 1000) - 1) * 1000,
    leftMs - freshForMs * ahead,
    1000 - (now % 1000),
  );
}

/** The answer to one request, conditions and ranges heeded; its content in memory. */
export function prepareFor(
  object: HeldObject,
  request: LaneRequest,
  outcome: Outcome,
  now: number,
): Prepared | undefined {
  const { site, scheme, method, fields: requestFields, node, counters, ruled, announced } = request;
  const stored = answerFromStored(object, { method, fields: requestFields } as ClientRequest, now);
  const { status, content } = stored;
  if (!isHeldContent(content)) return undefined;
  // It may have a page of its own.
  if (ruled !== undefined && status >= 400) return undefined;
  const guarded = announced.length === 0 ? stored.fields : [...stored.fields, ...announced];
  const ours = { status, fields: clientFields(site, scheme, guarded) };
  const shown = ruled?.request.shape(ours) ?? ours;
  const signed = { fields: shown.fields, outcome, asOf: 0 };
  const fields = signedFields(signed, { node, toTier: false, now });
  if (!isFramed(status, method, fields, content)) return undefined;
  if (fields.some((text) => UNSENDABLE.test(text))) return undefined;
  const text = headOf(status, fields, request.keepAliveMs);
  const size = content.reduce((sum, { length }) => sum + length, 0);
  const joined = size <= JOINED_BYTES ? joinedOf(text, content, size) : undefined;
  return {
    status,
    size,
    head: joined?.subarray(0, text.length) ?? Buffer.from(text, 'latin1'),
    joined,
    content,
    counter: counters.counter(site.name, outcome, status, '1.1'),
  };
}

/** Whether the client can tell where the answer ends without chunks, RFC 9112 §6.3. */
function isFramed(
  status: number,
  method: string,
  fields: Fields,
  content: readonly Buffer[],
): boolean {
  if (status === 304) return content.length === 0;
  const [length, ...others] = fieldLines(fields, 'content-length');
  if (length === undefined || others.length > 0 || status === 204) return false;
  const bytes = content.reduce((sum, piece) => sum + piece.length, 0);
  return method === 'HEAD' ? bytes === 0 && /^\d+$/.test(length) : length === String(bytes);
}

const isHeldContent = (
  content: readonly Buffer[] | AsyncIterable<Buffer>,
): content is readonly Buffer[] => Array.isArray(content) && content.length <= UNPACED_CHUNKS;

/** What node:http refuses to send. */
const UNSENDABLE = /[^\t\x20-\x7e\x80-\xff]/;

/** A header section as node:http writes it on a connection that stays open. */
function headOf(status: number, fields: Fields, keepAliveMs: number): string {
  let head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'unknown'}\r\n`;
  for (let i = 0; i < fields.length; i += 2) head += `${fields[i]}: ${fields[i + 1]}\r\n`;
  return `${head}Connection: keep-alive\r\nKeep-Alive: timeout=${Math.floor(keepAliveMs / 1000)}\r\n\r\n`;
}

function joinedOf(head: string, content: readonly Buffer[], size: number): Buffer {
  const joined = Buffer.allocUnsafe(head.length + size);
  let at = joined.write(head, 0, 'latin1');
  for (const piece of content) at += piece.copy(joined, at);
  return joined;
}
