import type { Socket } from 'node:net';
import { cacheKey } from '#core/cache/key.ts';
import type { ServedSite } from '#core/cache/served-site.ts';
import { type HeldObject, isManifest, isPartial, suitsRequest } from '#core/cache/object.ts';
import type { Fields } from '#core/http/fields.ts';
import { isEverClaim } from '#core/http/client-claims.ts';
import { normalizeTarget } from '#core/http/target.ts';
import type { Lane, LaneVerdict } from '#core/serving/lane.ts';
import { record } from '#core/serving/record.ts';
import type { TierNode } from '#core/serving/tier-node.ts';
import { tlsVersionOf } from '#core/serving/tls/handshakes.ts';
import type { Outcome } from '#core/telemetry/cache-status.ts';
import { LaneHosts } from './hosts.ts';
import { answerTo, headOf, type LaneRequest, prepare, type Prepared } from './prepared.ts';
import { PlainRequest, SAYS } from './recogniser.ts';

/** Bytes of prepared answers and their objects that are kept; beyond it all are made anew. */
const PREPARED_BYTES = 32 * 1024 * 1024;
const NO_FIELDS: Fields = [];

/** Plain requests for what is fresh in memory, answered from their bytes. */
export class HitLane implements Lane {
  readonly #node: TierNode;
  readonly #request = new PlainRequest();
  readonly #hosts = { http: new LaneHosts('http'), https: new LaneHosts('https') };
  readonly #prepared = {
    http: new Map<HeldObject, Prepared>(),
    https: new Map<HeldObject, Prepared>(),
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

  take(bytes: Buffer, start: number, connection: Socket, keepAliveMs: number): LaneVerdict {
    this.#keepAliveMs = keepAliveMs;
    const recognised = this.#request.read(bytes, start);
    if (recognised !== 'plain') return recognised;
    return this.#answer('encrypted' in connection ? 'https' : 'http', connection)
      ? 'answered'
      : 'passed';
  }

  #answer(scheme: 'http' | 'https', connection: Socket): boolean {
    const { engine, memory, sites, clock } = this.#node;
    const request = this.#request;
    const { says } = request;
    const found = this.#hosts[scheme].find(request.host, sites);
    if (found === undefined || engine.watches.size > 0) return false;
    const { site, host } = found;
    if ((says & SAYS.cacheControl) !== 0 && site.cache.honourClientCacheControl) return false;
    const target = normalizeTarget(request.target);
    // Below `/.` an edge answers for itself.
    if (target === undefined || target.startsWith('/.')) return false;
    const folded = site.keying.foldTarget(target);
    const key = cacheKey(site, { scheme, host, target }, folded);
    const object = chosen(memory.peek(key), request);
    if (object === undefined || engine.fence.verdict(object) !== undefined) return false;
    if (object.softPurgedAt !== undefined || isPartial(object) || isManifest(object)) return false;
    if (engine.leaseEnded) return false;
    const arrivedAtMs = clock.monotonicMs();
    const now = clock.now();
    const asked = { site, scheme, target: folded };
    const prepared = this.#prepare(object, asked, now);
    if (prepared === undefined) return false;
    const { outcome } = prepared;
    let { status } = prepared;
    let bytes = 0;
    if (says === 0 || says === SAYS.cacheControl) {
      if (!request.isHead) bytes = prepared.size;
      send(connection, prepared, request.isHead);
    } else {
      const sent = this.#sendPart(object, asked, prepared, now, connection);
      if (sent === undefined) return false;
      ({ status, bytes } = sent);
    }
    memory.lookup(key);
    if (site.cache.refreshAhead > 0) engine.noteDemand(key);
    this.#record(
      connection,
      site,
      status === prepared.status ? prepared : { status, outcome },
      bytes,
      arrivedAtMs,
    );
    return true;
  }

  /** The one place that tells of requests answered here: metrics, and the log of a node that has one. */
  #record(
    connection: Socket,
    site: ServedSite,
    answer: { readonly status: number; readonly outcome: Outcome },
    bytes: number,
    arrivedAtMs: number,
  ): void {
    const { accessLog, clock, counters } = this.#node;
    const firstByteMs = clock.monotonicMs() - arrivedAtMs;
    const { status, outcome } = answer;
    if (accessLog === undefined) {
      counters.record(site.name, outcome, status, bytes, firstByteMs, firstByteMs, '1.1');
      return;
    }
    const exchange = {
      received: this.#request.received('encrypted' in connection),
      peerAddress: connection.remoteAddress ?? '',
      tlsVersion: tlsVersionOf(connection),
    };
    const sent = { bytes, end: 'complete' } as const;
    record(this.#node, { exchange, site, answer, sent, arrivedAtMs, firstByteMs });
  }

  #prepare(object: HeldObject, asked: Asked, now: number): Prepared | undefined {
    const { sites } = this.#node;
    if (now >= this.#preparedUntilMs || this.#sites !== sites) this.#forget(now);
    const ofScheme = this.#prepared[asked.scheme];
    const known = ofScheme.get(object);
    if (known !== undefined && now >= known.fromMs && now < known.untilMs) return known;
    const made = prepare(object, this.#laneRequest(asked, 'GET', NO_FIELDS), now);
    if (made === undefined) return undefined;
    this.#preparedBytes += made.head.length + (made.joined?.length ?? 0) + made.size;
    if (this.#preparedBytes > PREPARED_BYTES) this.#forget(now);
    ofScheme.set(object, made);
    return made;
  }

  /** What was prepared keeps objects alive that memory may have let go of, so none of it stays for long. */
  #forget(now: number): void {
    this.#prepared.http.clear();
    this.#prepared.https.clear();
    this.#preparedBytes = 0;
    this.#preparedUntilMs = now + 1000;
    this.#sites = this.#node.sites;
  }

  /** @returns `undefined`: there is none that can be sent at once */
  #sendPart(
    object: HeldObject,
    asked: Asked,
    prepared: Prepared,
    now: number,
    connection: Socket,
  ): { status: number; bytes: number } | undefined {
    const { says, noneMatch } = this.#request;
    // All that the client says of its copy is this one tag.
    const isOwn = (says & SAYS.conditions) === 0 && noneMatch !== '' && noneMatch === prepared.etag;
    if (isOwn && prepared.notModified !== undefined) {
      connection.write(prepared.notModified);
      return { status: 304, bytes: 0 };
    }
    const method = this.#request.isHead ? 'HEAD' : 'GET';
    const laneRequest = this.#laneRequest(asked, method, this.#request.fields());
    const part = answerTo(object, laneRequest, prepared.outcome, now);
    if (part === undefined) return undefined;
    const head = headOf(part.status, part.fields, laneRequest.keepAliveMs);
    if (isOwn && part.status === 304) prepared.notModified = head;
    sendAll(connection, head, part.content);
    return {
      status: part.status,
      bytes: part.content.reduce((sum, { length }) => sum + length, 0),
    };
  }

  #laneRequest(asked: Asked, method: string, fields: Fields): LaneRequest {
    return { ...asked, method, fields, node: this.#node.name, keepAliveMs: this.#keepAliveMs };
  }
}

type Asked = Pick<LaneRequest, 'site' | 'scheme' | 'target'>;

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
