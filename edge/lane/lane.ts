import type { Socket } from 'node:net';
import { type HeldObject, isManifest, isPartial, suitsRequest } from '#core/cache/object.ts';
import type { Fields } from '#core/http/fields.ts';
import { isEverClaim } from '#core/http/client-claims.ts';
import type { Lane, LaneVerdict } from '#core/serving/lane.ts';
import { record } from '#core/serving/record.ts';
import type { TierNode } from '#core/serving/tier-node.ts';
import { tlsVersionOf } from '#core/serving/tls/handshakes.ts';
import {
  type LaneRequest,
  prepare,
  type Prepared,
  prepareFor,
  type PreparedObject,
} from './prepared.ts';
import { PlainRequest, SAYS } from './recogniser.ts';
import { type Route, Routes } from './routes.ts';

/** Bytes of prepared answers and their objects that are kept; beyond it all are made anew. */
const PREPARED_BYTES = 32 * 1024 * 1024;
/** Answers to conditions and ranges that are kept of an object; others are made for their request alone. */
const MAX_PARTS = 16;
const NO_FIELDS: Fields = [];

/** Plain requests for what is fresh in memory, answered from their bytes. */
export class HitLane implements Lane {
  readonly #node: TierNode;
  readonly #request = new PlainRequest();
  readonly #routes = { http: new Routes('http'), https: new Routes('https') };
  readonly #prepared = {
    http: new Map<HeldObject, PreparedObject>(),
    https: new Map<HeldObject, PreparedObject>(),
  };
  #preparedBytes = 0;
  #keepAliveMs = 0;
  /** Until when any of them may hold, ms since the epoch, and by which configuration. */
  #preparedUntilMs = 0;
  #sites: unknown;

  constructor(node: TierNode) {
    this.#node = node;
  }

  get end(): number {
    return this.#request.end;
  }

  /** What trusted proxies say of their clients is for others to read. */
  mayServe({ remoteAddress = '' }: Socket): boolean {
    return !this.#node.trustedProxies.has(remoteAddress);
  }

  take(
    bytes: Buffer,
    start: number,
    limit: number,
    connection: Socket,
    keepAliveMs: number,
  ): LaneVerdict {
    this.#keepAliveMs = keepAliveMs;
    const recognised = this.#request.read(bytes, start, limit);
    if (recognised !== 'plain') return recognised;
    return this.#answer('encrypted' in connection ? 'https' : 'http', connection)
      ? 'answered'
      : 'passed';
  }

  #answer(scheme: 'http' | 'https', connection: Socket): boolean {
    const { engine, memory, sites, clock } = this.#node;
    const request = this.#request;
    if (engine.watches.size > 0) return false;
    const route = this.#routes[scheme].find(request, sites);
    if (route === undefined) return false;
    const { site, key } = route;
    const { says } = request;
    if ((says & SAYS.cacheControl) !== 0 && site.cache.honourClientCacheControl) return false;
    const object = chosen(memory.peek(key), request);
    if (object === undefined || engine.fence.verdict(object) !== undefined) return false;
    if (object.softPurgedAt !== undefined || isPartial(object) || isManifest(object)) return false;
    if (engine.leaseEnded) return false;
    const arrivedAtMs = clock.monotonicMs();
    const now = clock.now();
    const whole = this.#prepare(object, route, now);
    if (whole === undefined) return false;
    const isConditional = (says & SAYS.conditions) !== 0;
    const answer = isConditional ? this.#part(object, route, whole, now) : whole;
    if (answer === undefined) return false;
    const isHead = !isConditional && request.isHead;
    send(connection, answer, isHead);
    memory.lookup(key);
    if (site.cache.refreshAhead > 0) engine.noteDemand(key);
    const bytes = isHead ? 0 : answer.size;
    const firstByteMs = clock.monotonicMs() - arrivedAtMs;
    if (this.#node.accessLog === undefined) {
      answer.counter.count(bytes, firstByteMs, firstByteMs);
      return true;
    }
    this.#log(connection, route, { status: answer.status, outcome: whole.outcome }, bytes, {
      arrivedAtMs,
      firstByteMs,
    });
    return true;
  }

  /** Metrics, and the log of a node that has one. */
  #log(
    connection: Socket,
    { site, scheme }: Route,
    answer: Pick<Parameters<typeof record>[1]['answer'], 'status' | 'outcome'>,
    bytes: number,
    times: { readonly arrivedAtMs: number; readonly firstByteMs: number },
  ): void {
    const exchange = {
      received: this.#request.received(scheme === 'https'),
      peerAddress: connection.remoteAddress ?? '',
      tlsVersion: tlsVersionOf(connection),
    };
    const sent = { bytes, end: 'complete' } as const;
    record(this.#node, { exchange, site, answer, sent, ...times });
  }

  #prepare(object: HeldObject, route: Route, now: number): PreparedObject | undefined {
    const { sites } = this.#node;
    if (now >= this.#preparedUntilMs || this.#sites !== sites) this.#forget(now);
    const ofScheme = this.#prepared[route.scheme];
    const known = ofScheme.get(object);
    if (known !== undefined && now >= known.fromMs && now < known.untilMs) return known;
    const made = prepare(object, this.#laneRequest(route, 'GET', NO_FIELDS), now);
    if (made === undefined) return undefined;
    this.#keeps(made, made.size, now);
    ofScheme.set(object, made);
    return made;
  }

  /** What conditions and ranges leave of it. @returns `undefined`: there is none that can be sent at once */
  #part(
    object: HeldObject,
    route: Route,
    whole: PreparedObject,
    now: number,
  ): Prepared | undefined {
    const request = this.#request;
    const method = request.isHead ? 'HEAD' : 'GET';
    const asked = request.isHead ? `HEAD ${request.conditions}` : request.conditions;
    const known = whole.parts.get(asked);
    if (known !== undefined) return known;
    const laneRequest = this.#laneRequest(route, method, request.fields());
    const made = prepareFor(object, laneRequest, whole.outcome, now);
    if (made === undefined || whole.parts.size >= MAX_PARTS) return made;
    this.#keeps(made, asked.length, now);
    whole.parts.set(asked, made);
    return made;
  }

  #keeps({ head, joined }: Prepared, moreBytes: number, now: number): void {
    this.#preparedBytes += head.length + (joined?.length ?? 0) + moreBytes;
    if (this.#preparedBytes > PREPARED_BYTES) this.#forget(now);
  }

  /** What was prepared keeps objects alive that memory may have let go of, so none of it stays for long. */
  #forget(now: number): void {
    this.#prepared.http.clear();
    this.#prepared.https.clear();
    this.#preparedBytes = 0;
    this.#preparedUntilMs = now + 1000;
    this.#sites = this.#node.sites;
  }

  #laneRequest(route: Route, method: string, fields: Fields): LaneRequest {
    const { name: node, counters } = this.#node;
    const keepAliveMs = this.#keepAliveMs;
    return { ...route, method, fields, node, counters, keepAliveMs };
  }
}

/** The first variant that suits the request, as `CacheEngine.lookUp` has it. */
function chosen(variants: readonly HeldObject[], request: PlainRequest): HeldObject | undefined {
  const [first] = variants;
  if (first === undefined || (first.selector === '' && first.facts.vary.length === 0)) return first;
  // What clients claim is nothing to select by; others have it as the edge knows it.
  if (variants.some(({ facts }) => facts.vary.some(isEverClaim))) return undefined;
  const fields = request.fields();
  return variants.find((object) => suitsRequest(object, '', fields));
}

function send(connection: Socket, { head, joined, content }: Prepared, isHead: boolean): void {
  if (isHead) connection.write(head);
  else if (joined !== undefined) connection.write(joined);
  else sendAll(connection, head, content);
}

/** In one call of the system. */
function sendAll(connection: Socket, head: Buffer, content: readonly Buffer[]): void {
  if (content.length === 0) {
    connection.write(head);
    return;
  }
  connection.cork();
  connection.write(head);
  for (const piece of content) connection.write(piece);
  connection.uncork();
}
