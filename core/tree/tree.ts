import type { Clock } from '#core/clock.ts';
import type { Config } from '#core/contract/event.ts';
import type { Tier } from '#core/contract/node.ts';
import type { Site } from '#core/contract/site.ts';
import { CanopyError, type ErrorCode, ERRORS } from '#core/errors.ts';
import { type Fields, fieldValue, hasField } from '#core/http/fields.ts';
import { UpstreamCounters } from '#core/telemetry/upstream-counters.ts';
import {
  type Attempt,
  AttemptFailed,
  Connections,
  type OnInterim,
  type UpstreamResponse,
} from './attempt.ts';
import { ParentHealth } from './health.ts';
import { type Parent, parentsFor } from './parents.ts';
import { resuming } from './resume.ts';
import { TIER_FIELDS } from './tier-fields.ts';

/** A request for whichever parent answers. */
export interface UpstreamRequest {
  readonly site: Site;
  /** The cache key: it decides which mid-tier is asked first. */
  readonly key: string;
  /** Sent as `Canopy-Keyed-By`: what selects the object under its URL, `''` for nothing. */
  readonly keyedBy: string;
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  /** What every parent is sent, but `Host` and the tier fields. */
  readonly fields: Fields;
  /** The host that the client asked for. */
  readonly host: string;
  readonly content: AsyncIterable<Buffer> | undefined;
  /** Sent as `Canopy-Fence`: content must have heeded every purge up to it. */
  readonly fence: number;
  /** Sent as `Canopy-Changed`: what parents have stored is to be validated. */
  readonly changed: boolean;
  readonly signal: AbortSignal | undefined;
  /** The protocols that the client would switch to, as `Upgrade` names them. */
  readonly upgrade?: string | undefined;
  /** The client sends its content only when a parent wants it. */
  readonly expectsContinue?: boolean | undefined;
  readonly onInterim?: OnInterim | undefined;
}

export interface TreeOptions {
  readonly clock: Clock;
  /** The tier of the asking node. */
  readonly tier: Tier;
  readonly config: () => Config;
}

/** RFC 9110 §9.2.1. */
const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);
/** A server that answers so is not the one to ask; another may be. */
const UNAVAILABLE: ReadonlySet<number> = new Set([502, 503, 504]);

/** The way up: asks one parent after the other until one answers. */
export class Tree {
  readonly #options: TreeOptions;
  readonly #connections: Connections;
  readonly #health: ParentHealth;
  /** Requests sent to parents since the start. */
  readonly counters = new UpstreamCounters();

  constructor(options: TreeOptions) {
    this.#options = options;
    this.#connections = new Connections(options.clock);
    this.#health = new ParentHealth(options.clock);
  }

  /**
   * The first answer that a parent gives. A body that breaks off is continued from the next parent
   * where it carries a strong validator.
   * @throws CanopyError `upstream-unreachable` or `upstream-timeout` when every parent failed
   */
  async fetch(request: UpstreamRequest): Promise<UpstreamResponse> {
    const response = await this.#walk(request, this.#parentsFor(request));
    if (request.method !== 'GET' || hasField(request.fields, 'range')) return response;
    return resuming(response, (fields, { last, never }) => {
      const parents = this.#parentsFor(request).filter(({ name }) => !never.has(name));
      const inTurn = parents.toSorted(
        (a, b) => Number(last.has(a.name)) - Number(last.has(b.name)),
      );
      return this.#walk({ ...request, fields: [...request.fields, ...fields] }, inTurn);
    });
  }

  /** Forgets the health of parents that are gone from `config`, and counts requests to new ones. */
  retainParents(config: Config): void {
    const names = new Set([
      ...config.nodes.filter(({ tier }) => tier !== 'edge').map((node) => node.name),
      ...config.sites.flatMap(({ origin }) =>
        origin.kind === 'pull' ? origin.servers.map((server) => server.url) : [],
      ),
    ]);
    this.#health.retain((name) => names.has(name));
    this.counters.name(names);
  }

  close(): Promise<void> {
    return this.#connections.close();
  }

  #parentsFor({ site, key }: UpstreamRequest): readonly Parent[] {
    const { config, tier } = this.#options;
    return this.#health.order(parentsFor(config(), site, tier, key));
  }

  async #walk(request: UpstreamRequest, parents: readonly Parent[]): Promise<UpstreamResponse> {
    const content = once(request.content);
    const repeatable =
      SAFE_METHODS.has(request.method) &&
      request.content === undefined &&
      request.upgrade === undefined;
    // What a mid-tier could not get, another could not either.
    let originsOnly = false;
    const failures: CanopyError[] = [];
    for (const [index, parent] of parents.entries()) {
      if (originsOnly && parent.tier === 'mid-tier') continue;
      const outcome = await this.#try(request, parent, content.read, repeatable);
      if (outcome instanceof AttemptFailed) {
        failures.push(outcome);
        if (repeatable || (outcome.neverSent && !content.started())) continue;
        break;
      }
      const isLast = index === parents.length - 1;
      const error = ownError(outcome);
      if (error !== undefined) {
        outcome.discard();
        failures.push(error);
        originsOnly ||= TRIED_ALL.has(error.code);
        // It has waited for the origin as long as anybody may.
        if (!repeatable || error.code === 'upstream-timeout') break;
        continue;
      }
      if (UNAVAILABLE.has(outcome.status) && parent.tier === 'customer' && repeatable && !isLast) {
        outcome.discard();
        continue;
      }
      return outcome;
    }
    throw exhausted(request.site, failures);
  }

  async #try(
    request: UpstreamRequest,
    parent: Parent,
    content: () => AsyncIterable<Buffer> | undefined,
    repeatable: boolean,
  ): Promise<UpstreamResponse | AttemptFailed> {
    const attempt = (): Attempt => ({
      parent,
      method: request.method,
      target: request.target,
      fields: this.#fieldsFor(request, parent),
      content: content(),
      settings: request.site.upstream,
      signal: request.signal,
      upgrade: request.upgrade,
      expectsContinue: request.expectsContinue,
      onInterim: request.onInterim,
    });
    let failure: AttemptFailed | undefined;
    for (let tries = repeatable ? 2 : 1; tries > 0; tries--) {
      try {
        const response = await this.#connections.send(attempt());
        this.counters.answered(parent.name, response.status);
        this.#health.note(parent.name, 'answered');
        return response;
      } catch (error) {
        this.counters.failed(
          parent.name,
          error instanceof AttemptFailed ? error.outcome : 'aborted',
        );
        if (!(error instanceof AttemptFailed)) throw error;
        failure = error;
        if (!error.connectionLost) break;
      }
    }
    if (failure === undefined) throw new Error('unreachable: a try answers or fails');
    this.#health.note(parent.name, failure.outcome);
    return failure;
  }

  #fieldsFor(
    { site, keyedBy, host, fields, fence, changed }: UpstreamRequest,
    parent: Parent,
  ): Fields {
    if (parent.tier === 'customer') {
      const own = site.origin.kind === 'pull' && site.origin.hostHeader === 'origin';
      return ['Host', own ? new URL(parent.url).host : host, ...fields];
    }
    return [
      'Host',
      host,
      TIER_FIELDS.key,
      this.#options.config().network.tierKey,
      TIER_FIELDS.site,
      site.name,
      TIER_FIELDS.fence,
      String(fence),
      ...(keyedBy === '' ? [] : [TIER_FIELDS.keyedBy, keyedBy]),
      ...(changed ? [TIER_FIELDS.changed, '?1'] : []),
      ...fields,
    ];
  }
}

/** Failures of a parent that has itself been up to the origin. */
const TRIED_ALL: ReadonlySet<ErrorCode> = new Set(['upstream-timeout', 'upstream-unreachable']);

/** A parent's own failure, which is no answer to the request. */
function ownError({ parent, fields }: UpstreamResponse): CanopyError | undefined {
  if (parent.tier === 'customer') return undefined;
  const code = fieldValue(fields, TIER_FIELDS.error.toLowerCase());
  if (code === undefined) return undefined;
  const known = code in ERRORS ? (code as ErrorCode) : 'upstream-invalid';
  return new CanopyError(known, `${parent.name}: ${code}`);
}

function exhausted(site: Site, failures: readonly CanopyError[]): CanopyError {
  if (failures.length === 0) {
    return new CanopyError('upstream-unreachable', `Site ${site.name} has no parent to ask`);
  }
  const [first] = failures;
  const isSame = failures.every((failure) => failure.code === first?.code);
  const code = isSame && first !== undefined ? first.code : 'upstream-unreachable';
  const tried = failures.map((failure) => failure.message).join('; ');
  return new CanopyError(code, `No parent answered: ${tried}`, { cause: failures.at(-1) });
}

/** Content that is read once, and only when a connection stands: until then another parent may have it. */
function once(content: AsyncIterable<Buffer> | undefined): {
  read: () => AsyncIterable<Buffer> | undefined;
  started: () => boolean;
} {
  let started = false;
  async function* read(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
    started = true;
    yield* source;
  }
  return {
    read: () => (content === undefined ? undefined : read(content)),
    started: () => started,
  };
}
