import type { Socket } from 'node:net';
import { type HeldObject, isManifest, isPartial, suitsRequest } from '#core/cache/object.ts';
import { ALL_CODINGS } from '#core/cache/policy/coding.ts';
import { foldedRequest, keySelector } from '#core/cache/policy/keying.ts';
import type { ServedSite } from '#core/cache/served-site.ts';
import { type Fields, withField } from '#core/http/fields.ts';
import type { ClientRequest } from '#core/http/request.ts';
import { isEverClaim } from '#core/http/client-claims.ts';
import { Refusal } from '#core/errors.ts';
import { IPV4_MAPPED } from '#core/serving/client-address.ts';
import type { Lane, LaneVerdict } from '#core/serving/lane.ts';
import { record } from '#core/serving/record.ts';
import type { TierNode } from '#core/serving/tier-node.ts';
import { tlsVersionOf } from '#core/serving/tls/handshakes.ts';
import type { Samples } from '#core/telemetry/samples.ts';
import { Doorkeeper } from './doorkeeper.ts';
import {
  type LaneRequest,
  prepare,
  type Prepared,
  prepareFor,
  type PreparedObject,
} from './prepared.ts';
import { PlainRequest, SAYS } from './recogniser.ts';
import { type Route, Routes } from './routes.ts';
import { readyFor } from '../compression/shaping.ts';
import type { Guards } from '../guards/guards.ts';
import { askingFor } from '../made.ts';

/** Bytes of prepared answers and their objects that are kept; beyond it all are made anew. */
const PREPARED_BYTES = 32 * 1024 * 1024;
/** Answers to conditions and ranges that are kept of an object; others are made for their request alone. */
const MAX_PARTS = 16;
/** Values of `Accept-Encoding` for which a URL's answers are prepared; browsers send a handful. */
const MAX_CODINGS = 16;
/** What no field value is. */
const NO_CODINGS = '\n';
const NO_FIELDS: Fields = [];

/** Plain requests for what is fresh in memory, answered from their bytes. */
export class HitLane implements Lane {
  readonly #node: TierNode;
  readonly #guards: Guards;
  readonly #request = new PlainRequest();
  /** Of what is prepared, which holds for a second. */
  readonly #doorkeeper = new Doorkeeper();
  readonly #routes = { http: new Routes('http'), https: new Routes('https') };
  readonly #prepared = {
    http: new Map<HeldObject, PreparedObject>(),
    https: new Map<HeldObject, PreparedObject>(),
  };
  /** Routes with prepared answers of their own. */
  readonly #withOwn = new Set<Route>();
  #preparedBytes = 0;
  #keepAliveMs = 0;
  #answered = 0;
  /** Until when any of them may hold, ms since the epoch, and by which configuration. */
  #preparedUntilMs = 0;
  #sites: unknown;

  constructor(node: TierNode, guards: Guards) {
    this.#node = node;
    this.#guards = guards;
  }

  get end(): number {
    return this.#request.end;
  }

  sample(samples: Samples): void {
    samples.add('canopy_hit_lane_requests_total', this.#answered);
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
    if ((says & SAYS.cacheControl) !== 0 && heedsCacheControl(site)) return false;
    const object = chosen(memory.peek(key), route, request);
    if (object === undefined || engine.fence.verdict(object) !== undefined) return false;
    if (object.softPurgedAt !== undefined || isPartial(object) || isManifest(object)) return false;
    if (engine.leaseEnded) return false;
    const arrivedAtMs = clock.monotonicMs();
    const now = clock.now();
    const whole = this.#prepare(object, route, now);
    if (whole === undefined) return false;
    const isConditional = (says & SAYS.conditions) !== 0;
    let answer = isConditional ? this.#part(route, whole, now) : whole;
    if (answer !== undefined && route.ruled !== undefined) {
      answer = this.#counted(route, whole, answer, connection, now);
    }
    if (answer === undefined) return false;
    const isHead = !isConditional && request.isHead;
    send(connection, answer, isHead);
    this.#answered++;
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
    const { coding } = route.site;
    const isOwn = coding !== undefined || route.ruled !== undefined;
    const all = isOwn ? this.#preparedOf(route) : this.#prepared[route.scheme];
    const known = all?.get(object);
    if (known !== undefined && now >= known.fromMs && now < known.untilMs) return known;
    if (all === undefined) return undefined;
    const asked = this.#laneRequest(route, 'GET', NO_FIELDS);
    const shown = this.#shown(object, route.site);
    const made = shown && orLeft(route, () => prepare(object, shown, asked, now));
    if (made === undefined) return undefined;
    const mark = this.#routes[route.scheme].hash ^ Math.floor(now / 1000);
    if (!this.#doorkeeper.isKnown(mark)) return made;
    this.#keeps(made, made.size, now);
    all.set(object, made);
    return made;
  }

  /** @returns `undefined`: there is no room for more */
  #preparedOf(route: Route): Map<HeldObject, PreparedObject> | undefined {
    const request = this.#request;
    const isCoded = route.site.coding !== undefined;
    if (isCoded && (request.says & SAYS.manyCodings) !== 0) return undefined;
    const codings = isCoded ? (request.acceptEncoding ?? NO_CODINGS) : '';
    const all = (route.prepared ??= new Map());
    const known = all.get(codings);
    if (known !== undefined || all.size >= MAX_CODINGS) return known;
    const made = new Map<HeldObject, PreparedObject>();
    all.set(codings, made);
    this.#withOwn.add(route);
    return made;
  }

  /** The object as the client is to have it; `undefined`: it would have to be made. */
  #shown(object: HeldObject, { coding }: ServedSite): HeldObject | undefined {
    if (coding === undefined) return object;
    return readyFor(this.#node.engine, coding, this.#request.acceptEncoding, object);
  }

  /** What conditions and ranges leave of it. @returns `undefined`: there is none that can be sent at once */
  #part(route: Route, whole: PreparedObject, now: number): Prepared | undefined {
    const request = this.#request;
    const asked = request.isHead ? `HEAD ${request.conditions}` : request.conditions;
    const known = whole.parts?.get(asked);
    if (known !== undefined) return known;
    const { shown, outcome } = whole;
    const laneRequest = this.#said(route, shown);
    const made = orLeft(route, () => prepareFor(shown, laneRequest, outcome, now));
    // Several ranges have a boundary that no other answer has.
    const isShared = made?.status !== 206 || !asked.includes(',');
    if (made === undefined || !isShared || (whole.parts?.size ?? 0) >= MAX_PARTS) return made;
    this.#keeps(made, asked.length, now);
    (whole.parts ??= new Map()).set(asked, made);
    return made;
  }

  /** The answer once a rate limit has let the request in. @returns `undefined`: others are to ask it again, and to tell what it says */
  #counted(
    route: Route,
    whole: PreparedObject,
    answer: Prepared,
    { remoteAddress = '' }: Socket,
    now: number,
  ): Prepared | undefined {
    const { site, ruled } = route;
    const [limiter] = ruled?.request.actions.rateLimit ?? [];
    if (limiter === undefined || ruled === undefined) return answer;
    const address = remoteAddress.replace(IPV4_MAPPED, '');
    let announced: Fields;
    try {
      announced = ruled.facts.from(address, () =>
        this.#guards.takeRate(limiter, ruled.facts.facts, site),
      );
    } catch (error) {
      route.isLeft = !(error instanceof Refusal);
      return undefined;
    }
    if (announced.length === 0) return answer;
    const isConditional = (this.#request.says & SAYS.conditions) !== 0;
    const asked = isConditional
      ? this.#said(route, whole.shown)
      : this.#laneRequest(route, 'GET', NO_FIELDS);
    return prepareFor(whole.shown, { ...asked, announced }, whole.outcome, now);
  }

  #keeps({ head, joined }: Prepared, moreBytes: number, now: number): void {
    this.#preparedBytes += head.length + (joined?.length ?? 0) + moreBytes;
    if (this.#preparedBytes > PREPARED_BYTES) this.#forget(now);
  }

  /** What was prepared keeps objects alive that memory may have let go of, so none of it stays for long. */
  #forget(now: number): void {
    this.#prepared.http.clear();
    this.#prepared.https.clear();
    for (const { prepared } of this.#withOwn) prepared?.clear();
    this.#withOwn.clear();
    this.#preparedBytes = 0;
    this.#preparedUntilMs = now + 1000;
    this.#sites = this.#node.sites;
  }

  /** What the request asks of the object as it is shown. */
  #said(route: Route, shown: HeldObject): LaneRequest {
    const request = this.#request;
    const method = request.isHead ? 'HEAD' : 'GET';
    const said = { method, fields: request.fields() } as ClientRequest;
    const { fields } = shown.made === undefined ? said : askingFor(said, shown.fields);
    return this.#laneRequest(route, method, fields);
  }

  #laneRequest(route: Route, method: string, fields: Fields): LaneRequest {
    const { name: node, counters } = this.#node;
    const keepAliveMs = this.#keepAliveMs;
    return { ...route, method, fields, node, counters, keepAliveMs, announced: NO_FIELDS };
  }
}

/** Whether it may matter what a request says there; `no-transform` does to who compresses. */
const heedsCacheControl = ({ cache, coding }: ServedSite): boolean =>
  cache.honourClientCacheControl || coding !== undefined;

/**
 * What `make` makes, unless a rule asks for more than the URL, or fails: then the route is left to others
 * from now on.
 */
function orLeft<T>(route: Route, make: () => T): T | undefined {
  if (route.ruled === undefined) return make();
  try {
    return make();
  } catch {
    route.isLeft = true;
    return undefined;
  }
}

/** The first variant that suits the request, as `CacheEngine.lookUp` has it. */
function chosen(
  variants: readonly HeldObject[],
  { site, target }: Route,
  request: PlainRequest,
): HeldObject | undefined {
  const { keying, coding } = site;
  let first = variants[0];
  // What is made of others is not looked for.
  if (first?.made !== undefined) first = variants.find(({ made }) => made === undefined);
  if (first === undefined) return undefined;
  const hasInputs = keying.inputs.length > 0;
  if (!hasInputs && first.selector === '' && first.facts.vary.length === 0) return first;
  // What clients claim is nothing to select by; others have it as the edge knows it.
  if (variants.some(({ facts }) => facts.vary.some(isEverClaim))) return undefined;
  const asked = { method: 'GET', target, fields: request.fields() } as ClientRequest;
  let { fields } = foldedRequest(keying, asked, target, NO_COUNTRY);
  if (coding !== undefined) fields = withField(fields, 'Accept-Encoding', ALL_CODINGS);
  const selector = keySelector(keying.inputs, fields);
  return variants.find((object) => suitsRequest(object, selector, fields));
}

/** The lane has no site whose key the country is part of. */
const NO_COUNTRY = (): string => '';

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
