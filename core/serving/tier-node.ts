import { randomUUID } from 'node:crypto';
import type { Answer } from '#core/cache/answer.ts';
import { carryOut } from '#core/cache/carry-out.ts';
import { preview } from '#core/cache/preview.ts';
import { CacheEngine, type Changed, type Lookup } from '#core/cache/engine.ts';
import type { PolicyName } from '#core/cache/eviction/policies.ts';
import type { DiskStore } from '#core/cache/disk/disk-store.ts';
import type { StoredFence } from '#core/cache/disk/durable-fence.ts';
import { MemoryStore } from '#core/cache/memory.ts';
import type { MemoryShare } from '#core/cache/memory-share.ts';
import { UNKNOWN_COUNTRY } from '#core/cache/policy/keying.ts';
import { type ServedSite, servedSite, siteAt } from '#core/cache/served-site.ts';
import { TieredStore } from '#core/cache/tiered.ts';
import { Refresher } from '#core/cache/refresher.ts';
import { SpillRoom } from '#core/cache/spill-room.ts';
import type { Asked } from '#core/cache/siblings/messages.ts';
import { Siblings } from '#core/cache/siblings/siblings.ts';
import { Targets } from '#core/cache/targets.ts';
import type { Clock } from '#core/clock.ts';
import type { Config, JournalEvent } from '#core/contract/event.ts';
import type { ExplainAsked, Explained } from '#core/contract/explain.ts';
import type { Tier } from '#core/contract/node.ts';
import { type PurgeTarget, siteOfTarget } from '#core/contract/purge.ts';
import type { Estimate } from '#core/contract/question.ts';
import { zonesOf } from '#core/contract/routed-hosts.ts';
import type { Load, ParentReport, PurgeReport } from '#core/contract/report.ts';
import type { Site } from '#core/contract/site.ts';
import { nodeExplained } from '#core/explain/merge.ts';
import { fieldValue } from '#core/http/fields.ts';
import type { Guarding } from '#core/limits/limit-memory.ts';
import { isNotice, siteChangeOf } from '#core/node/config.ts';
import { SiteDirectory } from '#core/sites.ts';
import type { ThreadLog } from '#core/telemetry/access-log/thread-log.ts';
import { Counters } from '#core/telemetry/counters.ts';
import { FillCounters } from '#core/telemetry/fill-counters.ts';
import { type ForwardedBy, forwardedFields, networkPseudonym } from '#core/tree/forward.ts';
import { TIER_FIELDS } from '#core/tree/tier-fields.ts';
import { Tree } from '#core/tree/tree.ts';
import { TrustedProxies } from './client-address.ts';
import { EarlyHints } from './early-hints.ts';
import type { Activity } from './service.ts';

export interface TierNodeOptions {
  readonly name: string;
  readonly tier: Tier;
  readonly clock: Clock;
  /** Budget of the memory store of this thread, or an equal part of what `memoryShare` is a share of. */
  readonly memoryBytes: number;
  /** By which the node's threads share one budget. */
  readonly memoryShare?: MemoryShare | undefined;
  /** What decides what leaves it when it is full. */
  readonly memoryPolicy?: PolicyName;
  readonly lease: { ended(): boolean };
  /** The country of an address, two capital letters; left out: that of every address is unknown. */
  readonly countryOf?: CountryOf;
  /** The autonomous system of an address, where the node has a database of them. */
  readonly asnOf?: (address: string) => number | undefined;
  /** Addresses and networks of proxies before an edge, see `TrustedProxies`. */
  readonly trustedProxies?: readonly string[];
  /** Of an edge; left out: alone, and without a Redis. */
  readonly guarding?: Guarding | undefined;
  /** See `EngineOptions`. */
  readonly tellThreads?: (changed: Changed) => Promise<void>;
  /** Has all threads of the node explain; left out: there are none besides this one. */
  readonly explainNode?: (asked: ExplainAsked) => Promise<Explained | undefined>;
  /** What lasts, shared by the threads of the node; `recall` is called before anything is applied. */
  readonly disk?: DiskStore;
  /** Whether this thread counts and sweeps it for all; by default it does. */
  readonly tendsDisk?: boolean;
  /** Disk for what slow clients have not read yet; none without it. */
  readonly spill?: { readonly dir: string; readonly bytes: number };
  /** Where requests are written down; left out: nowhere. */
  readonly accessLog?: ThreadLog | undefined;
}

export type CountryOf = (address: string) => string | undefined;

/** The part of the memory budget that fills under way may keep besides what is stored. */
const FILL_FRACTION = 0.25;

/** What one thread of an edge or mid-tier runs on: its configuration, its cache, its way up. */
export class TierNode {
  readonly name: string;
  readonly tier: Tier;
  readonly clock: Clock;
  readonly engine: CacheEngine;
  readonly counters = new Counters();
  readonly accessLog: ThreadLog | undefined;
  readonly trustedProxies: TrustedProxies;
  readonly memory: MemoryStore;
  readonly disk: DiskStore | undefined;
  readonly #countryOf: CountryOf;
  readonly #explainNode: TierNodeOptions['explainNode'];
  readonly asnOf: (address: string) => number | undefined;
  readonly guarding: Guarding | undefined;
  /** The other threads of the node. */
  readonly siblings: Siblings;
  readonly #tree: Tree;
  readonly #refresher: Refresher;
  readonly #spillRoom: SpillRoom | undefined;
  #journal: string | undefined;
  readonly earlyHints = new EarlyHints();
  /** Where this thread serves TLS, if it does. */
  tlsPort: number | undefined;
  #config: Config | undefined;
  #challenges: ReadonlyMap<string, string> = new Map();
  #sites = new SiteDirectory<ServedSite>([]);
  #by: ForwardedBy;

  constructor({
    name,
    tier,
    clock,
    memoryBytes,
    memoryShare,
    memoryPolicy,
    lease,
    countryOf,
    asnOf = () => undefined,
    trustedProxies = [],
    guarding,
    spill,
    disk,
    tendsDisk = true,
    tellThreads,
    accessLog,
    explainNode,
  }: TierNodeOptions) {
    this.name = name;
    this.#explainNode = explainNode;
    this.accessLog = accessLog;
    this.tier = tier;
    this.clock = clock;
    this.#tree = new Tree({ clock, asking: { name, tier }, config: () => this.config });
    this.trustedProxies = new TrustedProxies(trustedProxies);
    this.#countryOf = countryOf ?? (() => undefined);
    this.asnOf = asnOf;
    this.guarding = guarding;
    this.disk = disk;
    this.memory = new MemoryStore(memoryShare ?? memoryBytes, memoryPolicy);
    const store = disk === undefined ? this.memory : new TieredStore(this.memory, disk, tendsDisk);
    const tree = this.#tree;
    const counters = new FillCounters();
    this.siblings = new Siblings({
      clock,
      tree,
      counters,
      answerSibling: (...asked) => this.#answerSibling(...asked),
    });
    this.#spillRoom = spill && new SpillRoom(spill.dir, spill.bytes);
    this.engine = new CacheEngine({
      clock,
      store,
      tree,
      source: this.siblings,
      lease,
      onRaise: (scope, purge) => disk?.raise(scope, purge),
      onForget: (one) => disk?.forget(one),
      tellThreads,
      counters,
      fillBytes: memoryBytes * FILL_FRACTION,
      ...(this.#spillRoom !== undefined && { spillRoom: this.#spillRoom }),
    });
    this.#by = { node: name, network: '' };
    this.#refresher = new Refresher({
      clock,
      engine: this.engine,
      siteOf: (site) => this.#sites.byName(site),
      upstreamFields: (request) => forwardedFields(request, this.#by),
    });
  }

  /** Takes over what the disk store knows of purges. */
  recall({ journal, sequence, epochs }: StoredFence): void {
    this.#journal = journal;
    this.engine.fence.restore({ sequence, epochs });
  }

  /** Set before the node serves. */
  get config(): Config {
    if (this.#config === undefined) throw new Error('The node has no configuration yet');
    return this.#config;
  }
  get sites(): SiteDirectory<ServedSite> {
    return this.#sites;
  }
  countryOf(address: string): string {
    return this.#countryOf(address) ?? UNKNOWN_COUNTRY;
  }
  /** What a client is known by from now on that has told nothing it could be known by. */
  newClientId(): string {
    return randomUUID();
  }
  /** What an authority is answered that looks for `token` at a name (RFC 8555 §8.3). */
  challengeAnswer(token: string): string | undefined {
    return this.#challenges.get(token);
  }
  /** How this node names itself to those it asks. */
  get forwardedBy(): ForwardedBy {
    return this.#by;
  }

  /**
   * Heeds one event of the journal, or a whole configuration where `event` is missing. When it
   * returns, nothing in this thread that a purge concerns will be served.
   * @param config the configuration after the event
   * @param reset purges may have been missed: distrust all that is stored
   */
  apply(config: Config, event: JournalEvent | undefined, reset: boolean): PurgeReport | undefined {
    const { engine } = this;
    let report: PurgeReport | undefined;
    if (this.#journal !== undefined && this.#journal !== config.journal) engine.changeJournal();
    this.#journal = config.journal;
    if (reset) engine.distrustAll(config.sequence);
    if (event?.type === 'purge') {
      const site = this.#sites.byName(siteOfTarget(event.purge.target) ?? '');
      report = engine.purge(event.purge, site, event.sequence, event.at);
      if (event.purge.mode === 'refresh') {
        this.#refresher.refresh(new Targets([event.purge.target], () => site), event.sequence);
      }
    } else if (!isNotice(event) && !isOfCertificates(event)) {
      this.#renewSites(config, event?.at ?? this.clock.now());
      engine.forgetUncacheable();
      this.#by = { node: this.name, network: networkPseudonym(config.network.tierKey) };
      this.#tree.retain(config);
      const self = config.nodes.find((node) => node.name === this.name);
      this.accessLog?.locate(self?.location.name ?? '');
      const { challenges = [] } = config.network;
      this.#challenges = new Map(challenges.map((one) => [one.token, one.keyAuthorization]));
    }
    if (event !== undefined) this.#purgeDeleted(event);
    if (config.bans.length > 0 || this.#config?.bans.length !== 0) {
      engine.bans = new Targets(
        config.bans.map(({ target }) => target),
        (name) => this.#sites.byName(name),
      );
    }
    this.#config = config;
    engine.fence.advance(config.sequence);
    return report;
  }

  /** A later site of the same name must not find what this one left. */
  #purgeDeleted(event: JournalEvent): void {
    for (const site of siteChangeOf(event)?.delete ?? []) {
      const target = { kind: 'site' as const, site };
      this.engine.purge({ mode: 'hard', target }, undefined, event.sequence, event.at);
    }
  }

  #renewSites(config: Config, at: number): void {
    for (const site of config.sites) {
      const before = this.#sites.byName(site.name);
      if (before === undefined || keysAlike(before, site)) continue;
      // A purge finds what is stored under keys of today, so none of yesterday's may remain.
      const target = { kind: 'site' as const, site: site.name };
      this.engine.purge({ mode: 'hard', target }, before, config.sequence, at);
    }
    this.#sites = new SiteDirectory(config.sites.map((site) => servedSite(site, zonesOf(config))));
    this.counters.sites.name(config.sites.map(({ name }) => name));
  }

  /** Resolves once the journal up to `sequence` is heeded here, or after `timeoutMs`; whether it is. */
  reachesFence(sequence: number, timeoutMs: number): Promise<boolean> {
    return this.engine.fence.reaches(sequence, timeoutMs, this.clock);
  }

  /** What a purge of `targets` would hit in this thread. */
  preview(targets: readonly PurgeTarget[]): Promise<Estimate> {
    return preview(this, targets, (site) => this.#sites.byName(site));
  }

  /** What the node, all its threads together, would do with a request. @param explain asks this one */
  async explainedByAll(
    asked: ExplainAsked,
    explain: (asked: ExplainAsked) => Promise<Explained>,
  ): Promise<Explained> {
    return (await this.#explainNode?.(asked)) ?? nodeExplained([await explain(asked)]);
  }

  /** Bytes on disk that wait for slow clients. */
  get spilledBytes(): number {
    return this.#spillRoom?.usedBytes ?? 0;
  }

  /** @param activity of the listener that the node is served by, once there is one */
  load(activity?: Activity): Load {
    const { objects, bytes } = this.engine.store.volume();
    const { requests, hits, hitBytes, bytesSent } = this.counters;
    return {
      requests,
      hits,
      hitBytes,
      bytesSent,
      upstreamRequests: this.#tree.counters.requests,
      objects,
      storedBytes: bytes,
      connections: activity?.connections ?? 0,
      tunnels: activity?.tunnels ?? 0,
    };
  }

  /** Parents that are not well, as this thread sees them. */
  parents(): readonly ParentReport[] {
    return this.#tree.health.report();
  }

  /** The node's checks have these parents down, and no others. */
  checked(down: ReadonlySet<string>): void {
    this.#tree.health.checked(down);
  }

  /** What another thread of the node asks of this one, as the home of the object. */
  async #answerSibling(
    asked: Asked,
    signal: AbortSignal,
    inform: Lookup['client']['inform'],
  ): Promise<Answer | undefined> {
    const { engine } = this;
    // A new thread may not know yet what the others do.
    const main = this.#sites.byName(asked.site);
    const originName = fieldValue(asked.request.fields, TIER_FIELDS.origin.toLowerCase());
    const site = main && siteAt(main, originName);
    if (site === undefined) return undefined;
    const { upstreamFields } = asked;
    const lookup: Lookup = {
      ...asked,
      site,
      upstreamFields: () => upstreamFields,
      client: { inform },
    };
    const found = engine.lookUp(lookup);
    const decision = engine.decide(lookup, found);
    return carryOut({ engine, lookup, found, decision, exchange: { content: NO_CONTENT, signal } });
  }

  close(): Promise<void> {
    this.#refresher.close();
    this.siblings.close();
    return this.#tree.close();
  }
}

/** These leave sites, nodes and the network as they are. */
const isOfCertificates = (event: JournalEvent | undefined): boolean =>
  event?.type === 'certificate.put' || event?.type === 'certificate.delete';

const keysAlike = (a: Site, b: Site): boolean =>
  a.origin.kind === b.origin.kind &&
  a.images.enabled === b.images.enabled &&
  a.key.sortQuery === b.key.sortQuery &&
  JSON.stringify(a.key.query) === JSON.stringify(b.key.query);

const NO_CONTENT: AsyncIterable<Buffer> = {
  async *[Symbol.asyncIterator]() {
    // A fill sends none.
  },
};
