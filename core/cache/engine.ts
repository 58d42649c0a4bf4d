import type { Clock } from '#core/clock.ts';
import type { PurgeOrder } from '#core/contract/purge.ts';
import type { PurgeReport } from '#core/contract/report.ts';
import type { ByteRange } from '#core/http/ranges.ts';
import type { ClientRequest } from '#core/http/request.ts';
import type { Fields } from '#core/http/fields.ts';
import { FillCounters } from '#core/telemetry/fill-counters.ts';
import type { UpstreamResponse } from '#core/tree/attempt.ts';
import { vouchedBy } from '#core/tree/vouched.ts';
import type { Tree } from '#core/tree/tree.ts';
import { Admission } from './admission.ts';
import { Backoffs } from './backoffs.ts';
import { clientDirectives } from './client-directives.ts';
import { Fence } from './fence.ts';
import { type Fill, FillTable } from './fill.ts';
import { FillBudget } from './fill-budget.ts';
import { Filler, type FillSource } from './filler.ts';
import { HitForMiss } from './hit-for-miss.ts';
import { purgedKeys } from './key.ts';
import { Marks } from './marks.ts';
import { type StoredObject, suffices, suitsRequest } from './object.ts';
import { decide, type Decision, type DecisionInput } from './policy/decide.ts';
import { jitter } from './policy/jitter.ts';
import type { Storability } from './policy/storability.ts';
import { Purger, type PurgerOptions } from './purger.ts';
import { rangeRequest } from './range-request.ts';
import { Receiver } from './receiver.ts';
import { RefillBudget } from './refill-budget.ts';
import type { ServedSite } from './served-site.ts';
import type { SpillRoom } from './spill-room.ts';
import type { Shaping } from './shaping.ts';
import { Slices } from './slices/slices.ts';
import type { PurgeMark, Store } from './store.ts';
import { Sweeper, type SweeperOptions } from './sweeper.ts';
import { Targets } from './targets.ts';
import type { Watch } from './watch.ts';

/** A request at the cache, with all that was settled about it on the way there. */
export interface Lookup {
  readonly site: ServedSite;
  /** The primary key; see `cacheKey`. */
  readonly key: string;
  /** What selects among the objects under `key` beside `Vary`; see `keySelector`. */
  readonly keySelector: string;
  /** By what, for a parent that is to do the same; `''`: by nothing. */
  readonly keyedBy: string;
  /** As folded for the key; see `foldedRequest`. */
  readonly request: ClientRequest;
  /** What is sent upstream, made only if a parent is asked. */
  readonly upstreamFields: () => Fields;
  /** Who is told of 1xx answers on the way to the final one. */
  readonly client: { inform(status: number, fields: Fields): void };
  /** Another node asks. */
  readonly fromTier: boolean;
  /** The asking node's fence; 0 for clients. */
  readonly askingFence: number;
  /** The asking node knows the object to have changed. */
  readonly changed: boolean;
  /** The asking node wants what is held here, stale or not, and no parent asked. */
  readonly heldOnly?: boolean | undefined;
  /** Another thread of this node asks, and takes this one for the object's home. */
  readonly fromSibling?: boolean;
  /** What is made of representations for the client; left out: it gets them as they are. */
  readonly shaping?: Shaping | undefined;
  /** Nobody waits for the object: content is taken from the parent at this pace, unless others come to want it. */
  readonly pace?: Pace | undefined;
}

/** Resolves when content that comes after these `bytes` may be taken. */
export type Pace = (bytes: number) => Promise<void>;

/** How long a parent is told that an object was changed by a request that went another way. */
const CHANGED_MS = 60_000;
/** Two requests this near to one another are demand enough to refresh an object ahead of its expiry. */
const DEMAND_MS = 60_000;
/** How long an answer waits for a thread that is behind it; a link that works takes a few milliseconds. */
const RELEASE_WAIT_MS = 250;
/** Between two refreshes ahead of one object, for a parent may have nothing newer yet. */
const AHEAD_AGAIN_MS = 2_000;

/** What a request would come to, see `CacheEngine.foresee`. */
export interface Foreseen {
  readonly variants: readonly StoredObject[];
  readonly found: Found;
  readonly input: DecisionInput;
  readonly decision: Decision;
}

const NO_WATCHES: ReadonlySet<Watch> = new Set();

export type Found = StoredObject | 'uri-miss' | 'vary-miss' | 'purged' | 'partial';

/** URLs that a request has changed, and what is stored of them is to be forgotten. */
export interface Changed {
  /** Its name. */
  readonly site: string;
  readonly host: string;
  /** Paths and queries. */
  readonly targets: readonly string[];
}

export interface EngineOptions {
  /** Resolves when the other threads of the node have forgotten, too; left out: there are none. */
  readonly tellThreads?: ((changed: Changed) => Promise<void>) | undefined;
  readonly clock: Clock;
  readonly store: Store;
  readonly tree: Tree;
  /** See `PurgerOptions`. */
  readonly onRaise?: PurgerOptions['onRaise'];
  /** See `SweeperOptions`. */
  readonly onForget?: SweeperOptions['onForget'];
  /** Whom fills ask in place of the tree. */
  readonly source?: FillSource;
  readonly lease: { ended(): boolean };
  readonly counters?: FillCounters;
  /** Memory that fills under way may keep, bytes; no bound without it. */
  readonly fillBytes?: number;
  /** Where bodies wait for slow readers; without it the slowest sets the pace. */
  readonly spillRoom?: SpillRoom;
}

/** The cache of one thread: what is stored, what is being fetched, and what was purged. */
export class CacheEngine {
  readonly fence = new Fence();
  /** Whom fills ask. */
  readonly source: FillSource;
  readonly filler: Filler;
  readonly slices: Slices;
  readonly #options: EngineOptions;
  readonly #fills = new FillTable();
  readonly #hitForMiss: HitForMiss;
  readonly #refreshFailing: Backoffs;
  /** Asked for lately; and refreshed ahead lately. */
  readonly #demand: Marks;
  readonly #ahead: Marks;
  /** For what purges have made stale. */
  readonly refills: RefillBudget;
  /** What the limits on fills have done. */
  readonly counters: FillCounters;
  readonly #changed: Marks;
  readonly #budget: FillBudget;
  readonly #purger: Purger;
  /** Told of what is found for requests; there are none but while a purge is previewed. */
  readonly watches = new Set<Watch>();
  /** What is not to be stored. */
  bans = new Targets([], () => undefined);

  constructor(options: EngineOptions) {
    this.#options = options;
    this.counters = options.counters ?? new FillCounters();
    this.#hitForMiss = new HitForMiss(options.clock);
    this.#refreshFailing = new Backoffs(options.clock);
    this.#demand = new Marks(options.clock);
    this.#ahead = new Marks(options.clock);
    const { store, tree } = options;
    this.source = options.source ?? {
      fetch: (_, request) => tree.fetch(request),
      isHome: () => true,
      threads: 1,
    };
    const { source } = this;
    this.slices = new Slices({ clock: options.clock, store, source, tree, fence: this.fence });
    this.#changed = new Marks(options.clock);
    this.#budget = new FillBudget(options.fillBytes ?? Infinity);
    const fills = this.#fills;
    const { counters, fence, slices } = this;
    const admission = new Admission({
      fence,
      fills,
      isBanned: (targeted) => this.bans.has(targeted),
    });
    const receiver = new Receiver({
      store,
      fills,
      admission,
      slices,
      hitForMiss: this.#hitForMiss,
      counters,
      budget: this.#budget,
      spillRoom: options.spillRoom,
    });
    this.filler = new Filler({
      clock: options.clock,
      store,
      source,
      fence,
      lease: options.lease,
      fills,
      admission,
      receiver,
      hitForMiss: this.#hitForMiss,
      refreshFailing: this.#refreshFailing,
      changed: this.#changed,
      counters,
      caughtUp: (site, response) => this.caughtUp(site, response),
    });
    this.refills = new RefillBudget(options.clock, source);
    const { onRaise, onForget } = options;
    const sweeper = new Sweeper({ clock: options.clock, store, fence, fills, onForget });
    const hitForMiss = this.#hitForMiss;
    this.#purger = new Purger({ store, fence, fills, hitForMiss, sweeper, onRaise });
  }

  get store(): Store {
    return this.#options.store;
  }
  get tree(): Tree {
    return this.#options.tree;
  }
  /** Requests that wait for a fill, and fills under way. */
  get underWay(): { readonly waiters: number; readonly fills: number } {
    return { waiters: this.#fills.waiters, fills: this.#fills.size };
  }
  /** Resolves when what is being fetched under a key has come to its end, and is stored if it is to be. */
  settled(key: string): Promise<void> {
    return this.#fills.ended(key);
  }
  /** Memory that fills under way keep. */
  get fillBytes(): number {
    return this.#budget.usedBytes;
  }
  get clock(): Clock {
    return this.#options.clock;
  }
  /** Where bodies wait for slow readers, if anywhere. */
  get spillRoom(): SpillRoom | undefined {
    return this.#options.spillRoom;
  }
  /** Whether purges may have been missed. */
  get leaseEnded(): boolean {
    return this.#options.lease.ended();
  }
  /** Wall time, ms since the epoch. */
  now(): number {
    return this.#options.clock.now();
  }

  /** The variant stored for a request, with the purges that concern it, or why there is none. */
  lookUp(lookup: Pick<Lookup, 'key' | 'keySelector' | 'request'>): Found {
    return this.#find(this.#options.store.lookup(lookup.key), lookup, this.watches);
  }

  #find(
    variants: readonly StoredObject[],
    { keySelector, request }: Pick<Lookup, 'keySelector' | 'request'>,
    watches: ReadonlySet<Watch>,
  ): Found {
    if (variants.length === 0) return 'uri-miss';
    const variant = variants.find((object) => suitsRequest(object, keySelector, request.fields));
    if (variant === undefined) return 'vary-miss';
    const verdict = this.fence.verdict(variant);
    if (verdict?.mode === 'hard') return 'purged';
    if (watches.size > 0) for (const watch of watches) watch.note(variant);
    if (!suffices(variant, request)) return 'partial';
    if (verdict === undefined) return variant;
    return { ...variant, softPurgedAt: Math.max(verdict.at, variant.softPurgedAt ?? 0) };
  }

  /** What `lookUp` would find and `decide` would say of it now. Nothing is counted, noted or used up. */
  foresee(lookup: Lookup): Foreseen {
    const variants = this.#options.store.peek(lookup.key);
    const found = this.#find(variants, lookup, NO_WATCHES);
    const input = this.#inputFor(lookup, found);
    return { variants, found, input, decision: this.#foreseen(lookup, found, input) };
  }

  #foreseen(lookup: Lookup, found: Found, input: DecisionInput): Decision {
    const decision = decide(input);
    const isRefill = !lookup.fromTier && this.#isRefill(found, decision);
    if (isRefill && this.refills.isSpent(lookup.site)) {
      return decide({ ...input, refillsSpent: true });
    }
    const probes = decision.reason === 'hit-for-miss' && this.#hitForMiss.isProbeDue(lookup);
    return probes ? decide({ ...input, hitForMiss: false }) : decision;
  }

  /** Why an answer to such a request was lately found not to be stored, if one was. */
  uncacheable(lookup: Lookup): { readonly why: Storability | undefined } | undefined {
    return this.#hitForMiss.has(lookup) ? { why: this.#hitForMiss.whyOf(lookup) } : undefined;
  }

  /** The fetch under way that a request would share or begin beside, if there is one. */
  fillFor(lookup: Lookup, stored: StoredObject | undefined): Fill | undefined {
    return this.filler.underWay(lookup, stored ?? this.#options.store.peek(lookup.key)[0]);
  }

  decide(lookup: Lookup, found: Found): Decision {
    const { site, key, fromTier } = lookup;
    const input = this.#inputFor(lookup, found);
    if (site.cache.refreshAhead > 0) this.noteDemand(key);
    const decision = decide(input);
    if (decision.reason === 'refresh-ahead') this.#ahead.set(key, AHEAD_AGAIN_MS);
    if (!fromTier && this.#isRefill(found, decision) && this.refills.take(site) > 0) {
      const bridged = decide({ ...input, refillsSpent: true });
      if (bridged.reason === 'refill-limited') this.counters.refillsLimited++;
      return bridged;
    }
    if (decision.reason !== 'hit-for-miss' || !this.#hitForMiss.probe(lookup)) return decision;
    return decide({ ...input, hitForMiss: false });
  }

  #inputFor(lookup: Lookup, found: Found): DecisionInput {
    const { site, key, request, fromTier, heldOnly, askingFence, changed } = lookup;
    const fenceBehind = askingFence > this.fence.sequence;
    const isFound = typeof found !== 'string';
    return {
      method: request.method,
      hasContent: request.hasContent,
      upgrades: request.upgrade !== undefined,
      clientDirectives: clientDirectives(lookup),
      fromTier,
      heldOnly,
      stored: found,
      settings: isFound ? site.cacheFor(request.target, found.facts) : site.cache,
      onLeaseEnd: site.onLeaseEnd,
      leaseEnded: this.#options.lease.ended(),
      fenceBehind,
      knownChanged: changed,
      hitForMiss: (!isFound || fenceBehind) && this.#hitForMiss.has(lookup),
      refreshFailing: isFound && this.#refreshFailing.has(found),
      jitter: jitter(key, site.cache.jitterFraction),
      inDemand: site.cache.refreshAhead > 0 && this.#inDemand(lookup),
      now: this.#options.clock.now(),
    };
  }

  /** Whether a parent would be asked for what a purge has made stale. */
  #isRefill(found: Found, { action, reason }: Decision): boolean {
    if (typeof found === 'string' || found.softPurgedAt === undefined) return false;
    const asks = action === 'refresh-behind' || reason === 'soft-purged';
    return asks && this.#fills.find(found.key, found.selector, 0) === undefined;
  }

  /** Notes a request that `decide` was not asked about, for it found what was fresh. */
  noteDemand(key: string): void {
    this.#demand.set(key, DEMAND_MS);
  }

  /** Whether this request is not the only one lately, and a refresh ahead has not just been. */
  #inDemand({ key, fromTier }: Lookup): boolean {
    // A node asks on behalf of many.
    return (fromTier || this.#demand.has(key)) && !this.#ahead.has(key);
  }

  /** Asks for some bytes of just the version that is stored. @throws CanopyError where no parent answers */
  fetchRange(object: StoredObject, range: ByteRange, lookup: Lookup): Promise<UpstreamResponse> {
    return this.source.fetch(lookup, rangeRequest(object, range, lookup, this.fence.sequence));
  }

  /**
   * Has an answer that is of a later release than this thread has heard of wait until it has, so that
   * nobody who was given it is given anything older afterwards.
   */
  async caughtUp(
    { origin }: Pick<ServedSite, 'origin'>,
    response: UpstreamResponse,
  ): Promise<UpstreamResponse> {
    const vouched = origin.kind === 'push' ? vouchedBy(response) : undefined;
    if (vouched !== undefined) await this.fence.reaches(vouched, RELEASE_WAIT_MS, this.clock);
    return response;
  }

  /** Has the other threads of the node `invalidate` the same. */
  tellThreads(changed: Changed): Promise<void> | undefined {
    return this.#options.tellThreads?.(changed);
  }

  /** Forgets what is stored or being fetched of a URL, for a request that may have changed it. */
  invalidate(site: ServedSite, host: string, target: string): void {
    const keys = purgedKeys(site, host, target);
    for (const key of keys) {
      this.#options.store.delete(key);
      // Another key may have another parent, which has seen nothing of the request.
      this.#changed.set(key, CHANGED_MS);
    }
    const mark: PurgeMark = { sequence: Infinity, mode: 'hard', at: this.now() };
    this.#fills.purge((fill) => keys.includes(fill.key), mark);
  }

  /** Applies one purge of the journal to all that this thread holds or fetches; see `Purger.purge`. */
  purge(
    order: Pick<PurgeOrder, 'mode' | 'target'>,
    site: ServedSite | undefined,
    sequence: number,
    at: number,
  ): PurgeReport {
    return this.#purger.purge(order, site, sequence, at);
  }

  /** What could not be stored under the configuration until now is tried anew. */
  forgetUncacheable(): void {
    this.#hitForMiss.clearAll();
  }

  /** For a node that may have missed purges while it was away: all that it holds is stale. */
  distrustAll(sequence: number): void {
    this.#purger.distrustAll(sequence, this.now());
  }

  /** Another journal is followed from now on: how far content has heeded it, nobody knows. */
  changeJournal(): void {
    this.#options.store.forgetFences();
    this.#fills.purge(() => true, { sequence: Infinity, mode: 'hard', at: this.now() });
    this.fence.restart();
    this.distrustAll(1);
  }
}
