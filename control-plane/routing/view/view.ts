import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '#core/clock.ts';
import type { Config } from '#core/contract/event.ts';
import type { Node } from '#core/contract/node.ts';
import { withRoutedHosts, zonesOf } from '#core/contract/routed-hosts.ts';
import { DEFAULT_NETWORK_ROUTING } from '#core/contract/routing.ts';
import type { Site } from '#core/contract/site.ts';
import type { NodeStanding } from '#core/contract/standing.ts';
import { SiteDirectory } from '#core/sites.ts';
import type { LatencyMapContent } from '#core/contract/latency.ts';
import { candidatesOf, type EdgeView } from '../candidates.ts';
import type { AnswerSource } from '../dns/answer.ts';
import { type Signers, signersFor } from '../dns/dnssec/signers.ts';
import { Zones } from '../dns/zones.ts';
import type { Candidate, Condition } from '../engine/candidate.ts';
import { Latencies, NO_LATENCIES } from '../engine/latencies.ts';
import { Overrides } from '../engine/overrides.ts';
import { Routes } from '../routes.ts';
import type { Geography } from '../geography/geography.ts';
import { CertifiedSites } from './certified-sites.ts';
import { EdgeLoads } from './loads.ts';

/** What the control plane last told counts for so long; after that the checks alone do. */
const STANDINGS_MS = 5_000;

/** For so long after an edge has changed, answers are kept for a shorter time. */
const TROUBLE_MS = 60_000;

/** Everything a router goes by: configuration, checks, what the control plane tells of the edges. */
export class RouterView {
  readonly routes: Routes;
  readonly #clock: Clock;
  readonly #loads = new EdgeLoads();
  /** When each edge became what it is, by name; absent: before we looked. */
  readonly #changedAtMs = new Map<string, number>();
  #lastChangeMs = -Infinity;
  #config: Config | undefined;
  #source: AnswerSource | undefined;
  #sites = new SiteDirectory<Site>([]);
  /** Without those that take any host. */
  #claims = new SiteDirectory<Site>([]);
  #certified = new CertifiedSites([], []);
  #signers: Signers = new Map();
  #overrides = new Overrides([]);
  #latencies = NO_LATENCIES;
  #down: ReadonlySet<string> = new Set();
  #standings: ReadonlyMap<string, NodeStanding> = new Map();
  #heardAtMs = -Infinity;

  constructor({ clock, geography }: { readonly clock: Clock; readonly geography: Geography }) {
    this.#clock = clock;
    this.routes = new Routes(geography, { candidates: [], overrides: this.#overrides });
  }

  /** `undefined` before there is a configuration. */
  get source(): AnswerSource | undefined {
    return this.#source;
  }
  get config(): Config | undefined {
    return this.#config;
  }
  /** With the hosts that sites have in the zones. */
  get sites(): SiteDirectory {
    return this.#sites;
  }
  /** Whether a site has named the host, and not only said that it takes any. */
  isClaimed(host: string): boolean {
    return this.#claims.byHost(host) !== undefined;
  }
  get candidates(): readonly Candidate[] {
    return this.routes.situation.candidates;
  }
  /** Since the control plane last told how the nodes stand, ms. */
  get standingsAgeMs(): number {
    return this.#clock.monotonicMs() - this.#heardAtMs;
  }

  configure(config: Config): void {
    this.#config = config;
    this.#overrides = new Overrides(config.network.routing?.overrides ?? []);
    const zones = zonesOf(config);
    this.#sites = new SiteDirectory(config.sites.map((site) => withRoutedHosts(site, zones)));
    this.#claims = new SiteDirectory(
      this.#sites.sites.map((site) => ({ ...site, hosts: site.hosts.filter((h) => h !== '*') })),
    );
    this.#certified = new CertifiedSites(this.#sites.sites, config.certificates);
    this.#loads.retain(new Set(config.nodes.map(({ name }) => name)));
    this.#signers = signersFor(config, this.#signers);
    this.#source = {
      zones: new Zones(config),
      serial: config.sequence,
      nodes: new Map(config.nodes.map((node) => [node.name, node])),
      signers: this.#signers,
      choose: (...asked) => this.routes.choose(...asked),
      situation: () => this.routes.situation,
      ttlSeconds: (site) => this.ttlSeconds(site),
    };
    this.#renew();
  }

  /** Clients are elsewhere, by what databases say now. */
  moved(): void {
    this.#renew(true);
  }

  /** Forgets what was decided, for what decisions go by has changed. */
  #renew(isMoved = false): void {
    const [overrides, latencies] = [this.#overrides, this.#latencies];
    this.routes.renew({ candidates: this.#candidates(), overrides, latencies }, isMoved);
  }

  /** Goes by these measured round trips from now on. */
  measured({ entries }: Pick<LatencyMapContent, 'entries'>): void {
    this.#latencies = new Latencies(entries);
    this.#renew();
  }

  /** Networks, ASNs and countries of which something has been measured. */
  get measuredEntries(): number {
    return this.#latencies.size;
  }

  /** The checks have these edges down, and no others. */
  checked(down: Iterable<string>): void {
    this.#down = new Set(down);
    this.refresh();
  }

  /** The control plane tells how the nodes stand. */
  heard(standings: readonly NodeStanding[]): void {
    this.#heardAtMs = this.#clock.monotonicMs();
    this.#standings = new Map(standings.map((standing) => [standing.name, standing]));
    const { spillAt } = this.#config?.network.routing ?? DEFAULT_NETWORK_ROUTING;
    for (const node of this.#config?.nodes ?? []) {
      const last = this.#standings.get(node.name)?.last;
      if (node.tier === 'edge' && last) this.#loads.heard(node, last, spillAt);
    }
    this.refresh();
  }

  /** Decides anew if an edge is no longer what it was, be it only that time has passed. */
  refresh(): void {
    const before = this.candidates;
    const now = this.#candidates();
    if (isDeepStrictEqual(before, now)) return;
    for (const [i, candidate] of now.entries()) {
      const known = before[i]?.name === candidate.name ? before[i] : undefined;
      if (known !== undefined && known.condition !== candidate.condition) {
        this.#lastChangeMs = this.#clock.monotonicMs();
        this.#changedAtMs.set(candidate.name, this.#lastChangeMs);
      }
    }
    this.#renew();
  }

  /** Shorter while an edge that may serve the site has only just changed: it may change back. */
  ttlSeconds({ routing }: Pick<Site, 'routing'>): number {
    const since = this.#clock.monotonicMs() - TROUBLE_MS;
    if (this.#lastChangeMs <= since) return routing.ttlSeconds;
    const names = routing.edges.length > 0 ? routing.edges : this.#changedAtMs.keys();
    for (const name of names) {
      if ((this.#changedAtMs.get(name) ?? -Infinity) > since) {
        return Math.min(routing.ttlSeconds, routing.troubleTtlSeconds);
      }
    }
    return routing.ttlSeconds;
  }

  #candidates(): readonly Candidate[] {
    return candidatesOf(this.#config?.nodes ?? [], (node) => this.#viewOf(node));
  }

  #viewOf(node: Node): EdgeView {
    const { missingCertificates = [] } = this.#told(node) ?? {};
    return {
      condition: this.#conditionOf(node),
      shed: this.#loads.shedOf(node.name),
      ...(missingCertificates.length > 0 && {
        uncertified: this.#certified.needing(missingCertificates),
      }),
    };
  }

  /** What the control plane says of it, while that counts. */
  #told({ name }: Pick<Node, 'name'>): NodeStanding | undefined {
    return this.standingsAgeMs <= STANDINGS_MS ? this.#standings.get(name) : undefined;
  }

  #conditionOf(node: Node): Condition {
    if (this.#down.has(node.name)) return 'down';
    const told = this.#told(node);
    if (told?.inService === false) return 'unreported';
    if (node.draining) return 'draining';
    return (told?.ailments ?? []).length > 0 ? 'ailing' : 'well';
  }
}
