import type { Clock } from '#core/clock.ts';
import type { Config } from '#core/contract/event.ts';
import { pullOrigins, type Site } from '#core/contract/site.ts';
import { type Fields, hasField } from '#core/http/fields.ts';
import { UpstreamCounters } from '#core/telemetry/upstream-counters.ts';
import { Connections, type OnInterim, type UpstreamResponse } from './attempt.ts';
import { Bulkheads } from './bulkheads.ts';
import { type Choice, choose, type Conditions, holders } from './choice.ts';
import { ParentHealth } from './health.ts';
import { Held } from './held.ts';
import { HotKeys } from './hot-keys.ts';
import { customerFields, redirected } from './customer.ts';
import { type Asking, type Parent, type Stage, stagesFor } from './parents.ts';
import { Probes } from './probes.ts';
import { Replay } from './replay.ts';
import { resuming } from './resume.ts';
import { RetryBudget } from './retry-budget.ts';
import { TIER_FIELDS } from './tier-fields.ts';
import type { Try } from './tries.ts';
import { type Errand, triesOf, Walk, type WalkHost } from './walk.ts';

/** A request for whichever parent answers. */
export interface UpstreamRequest {
  /** With `originName` where it is not its main origin that is asked. */
  readonly site: Site & { readonly originName?: string | undefined };
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
  /** Should no parent answer, what any mid-tier holds will do, stale where that may stand in. */
  readonly orHeld?: boolean | undefined;
  readonly signal: AbortSignal | undefined;
  /** The protocols that the client would switch to, as `Upgrade` names them. */
  readonly upgrade?: string | undefined;
  /** The client sends its content only when a parent wants it. */
  readonly expectsContinue?: boolean | undefined;
  readonly onInterim?: OnInterim | undefined;
}

export interface TreeOptions {
  readonly clock: Clock;
  /** The node that asks. */
  readonly asking: Asking;
  readonly config: () => Config;
}

/** What the tree would do, and goes by. */
export interface Foreseen {
  readonly stages: readonly Stage[];
  /** In the order in which they would be tried. */
  readonly choices: readonly Choice[];
  readonly conditions: Conditions;
}

/** RFC 9110 §9.2.2. */
const IDEMPOTENT_METHODS: ReadonlySet<string> = new Set([
  'GET',
  'HEAD',
  'OPTIONS',
  'TRACE',
  'PUT',
  'DELETE',
]);
/** RFC 5861 §4: answers that what is stale may stand in for. */
const STANDS_IN_FOR: ReadonlySet<number> = new Set([500, 502, 503, 504]);
/** A mid-tier ends its walk before those whom it answers stop waiting: they give it twice a first byte. */
const WALK_IN_FIRST_BYTES = 1.9;

/** The way up: asks one parent after the other until one answers. */
export class Tree {
  readonly health: ParentHealth;
  readonly #options: TreeOptions;
  readonly #host: WalkHost;
  readonly #conditions: Conditions;
  readonly #hotKeys = new HotKeys();
  readonly #held: Held;
  /** By site. */
  readonly #budgets = new Map<string, RetryBudget>();
  #turn: 0 | 1 = 0;
  /** Requests sent to parents since the start. */
  readonly counters = new UpstreamCounters();

  constructor(options: TreeOptions) {
    const { clock } = options;
    const health = new ParentHealth(clock);
    const bulkheads = new Bulkheads(clock);
    this.#options = options;
    this.health = health;
    this.#conditions = {
      of: (name) => health.condition(name),
      underWay: (name) => bulkheads.underWay(name),
    };
    this.#host = {
      clock,
      health,
      bulkheads,
      probes: new Probes(clock, health),
      connections: new Connections(clock),
      onTry: (parent, how) => this.counters.tried(parent, how),
    };
    this.#held = new Held(clock, this.#host);
  }

  /**
   * The first answer that a parent gives. A body that breaks off is continued from the next parent
   * where it carries a strong validator.
   * @throws Exhausted: a CanopyError `upstream-…`, by what the parents did
   */
  async fetch(request: UpstreamRequest): Promise<UpstreamResponse> {
    const response = await this.#answer(request, this.#choicesFor(request));
    if (request.method !== 'GET' || hasField(request.fields, 'range')) return response;
    return resuming(response, (fields, { last, never }) => {
      const choices = this.#choicesFor(request).filter(({ parent }) => !never.has(parent.name));
      const inTurn = choices.toSorted(
        (a, b) => Number(last.has(a.parent.name)) - Number(last.has(b.parent.name)),
      );
      return this.#answer({ ...request, fields: [...request.fields, ...fields] }, inTurn);
    });
  }

  /** Forgets what is known of parents and sites that are gone from `config`. */
  retain({ nodes, sites }: Config): void {
    const parents = new Set([
      ...nodes.filter(({ tier }) => tier !== 'edge').map((node) => node.name),
      ...sites.flatMap((site) =>
        pullOrigins(site).flatMap(({ servers }) => servers.map((server) => server.url)),
      ),
    ]);
    this.health.retain((name) => parents.has(name));
    const names = new Set(sites.map(({ name }) => name));
    for (const name of this.#budgets.keys()) if (!names.has(name)) this.#budgets.delete(name);
    this.counters.name(parents);
  }

  /** Whether requests of a site that nobody waits for had better not be made now. */
  isCrowded({ name, upstream }: Site): boolean {
    return this.#host.bulkheads.isCrowded(name, upstream);
  }

  async close(): Promise<void> {
    await Promise.all([this.#host.connections.close(), this.#host.probes.close()]);
  }

  /** Whom a request for an object would be sent to now. Counts nothing. */
  foresee(site: Site, key: string): Foreseen {
    const { clock, config, asking } = this.#options;
    const stages = stagesFor(config(), site, asking);
    const isHot = this.#hotKeys.isHot(key, clock.monotonicMs());
    const turn = isHot ? (this.#turn === 0 ? 1 : 0) : undefined;
    return {
      stages,
      choices: choose(stages, key, this.#conditions, turn),
      conditions: this.#conditions,
    };
  }

  #choicesFor({ site, key }: UpstreamRequest): readonly Choice[] {
    const { clock, config, asking } = this.#options;
    const isHot = this.#hotKeys.note(key, clock.monotonicMs());
    if (isHot) this.#turn = this.#turn === 0 ? 1 : 0;
    const stages = stagesFor(config(), site, asking);
    return choose(stages, key, this.#conditions, isHot ? this.#turn : undefined);
  }

  /** What a parent answers, or what is held of it where none can get it. */
  async #answer(request: UpstreamRequest, choices: readonly Choice[]): Promise<UpstreamResponse> {
    let response: UpstreamResponse;
    try {
      response = await this.#redirected(request, choices);
    } catch (error) {
      const tries = triesOf(error);
      const held = tries && (await this.#heldOf(request, tries));
      if (held === undefined) throw error;
      return held;
    }
    if (!STANDS_IN_FOR.has(response.status)) return response;
    const held = await this.#heldOf(request, response.tries ?? []);
    if (held !== undefined) response.discard();
    return held ?? response;
  }

  #heldOf(request: UpstreamRequest, tries: readonly Try[]): Promise<UpstreamResponse | undefined> {
    const { site, key, orHeld } = request;
    const { config, asking } = this.#options;
    // A mid-tier has answered for itself; an edge asks all of them.
    if (orHeld !== true || asking.tier !== 'edge') return Promise.resolve(undefined);
    const nodes = holders(stagesFor(config(), site, asking), key, this.#conditions);
    const fields = [...request.fields, TIER_FIELDS.held, '?1'];
    return this.#held.find(this.#errand({ ...request, fields }), nodes, tries);
  }

  /** Goes to redirects in the client's place, as far as the site lets it. */
  async #redirected(
    request: UpstreamRequest,
    choices: readonly Choice[],
  ): Promise<UpstreamResponse> {
    let response = await this.#walk(request, choices);
    const { origin } = request.site;
    if (origin.kind !== 'pull') return response;
    let { target } = request;
    for (let hops = 0; hops < origin.redirects.max; hops++) {
      const to = redirected(origin, request.method, target, response);
      if (to === undefined) break;
      response.discard();
      ({ target } = to);
      const only = [{ parent: to.parent, place: 'preferred' }] satisfies readonly Choice[];
      response = await this.#walk({ ...request, target }, only);
    }
    return response;
  }

  #walk(request: UpstreamRequest, choices: readonly Choice[]): Promise<UpstreamResponse> {
    return new Walk(this.#host, this.#errand(request), choices).run();
  }

  #errand(request: UpstreamRequest): Errand {
    const { site, key, method, target, content, signal } = request;
    const { upgrade, expectsContinue, onInterim } = request;
    return {
      site: site.name,
      key,
      settings: site.upstream,
      budget: this.#budgetOf(site),
      idempotent: IDEMPOTENT_METHODS.has(method) && upgrade === undefined,
      content: content && new Replay(content),
      signal,
      // What the client takes for its content is not counted.
      totalMs: content === undefined ? this.#totalMs(site) : Infinity,
      message: (parent) => {
        this.counters.requests++;
        const fields = this.#fieldsFor(request, parent);
        return { method, target, fields, upgrade, expectsContinue, onInterim };
      },
    };
  }

  #totalMs({ upstream }: Site): number {
    if (this.#options.asking.tier === 'edge') return upstream.totalTimeoutMs;
    return Math.min(upstream.totalTimeoutMs, upstream.firstByteTimeoutMs * WALK_IN_FIRST_BYTES);
  }

  #budgetOf({ name }: Site): RetryBudget {
    const budget = this.#budgets.get(name) ?? new RetryBudget();
    this.#budgets.set(name, budget);
    return budget;
  }

  #fieldsFor(
    { site, keyedBy, method, target, host, fields, fence, changed }: UpstreamRequest,
    parent: Parent,
  ): Fields {
    if (site.origin.kind === 'pull' && parent.tier === 'customer') {
      const signed = { method, target, fields, host };
      return customerFields(site.origin, parent, signed, this.#options.clock.now());
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
      ...(site.originName === undefined ? [] : [TIER_FIELDS.origin, site.originName]),
      ...(changed ? [TIER_FIELDS.changed, '?1'] : []),
      ...fields,
    ];
  }
}
