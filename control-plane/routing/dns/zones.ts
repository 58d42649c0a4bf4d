import { addressesOf } from '#core/contract/node-addresses.ts';
import type { Config } from '#core/contract/event.ts';
import type { Node } from '#core/contract/node.ts';
import { siteHost, zonesOf } from '#core/contract/routed-hosts.ts';
import type { DnsRecord, Zone } from '#core/contract/routing.ts';
import type { Site } from '#core/contract/site.ts';
import { keyOf, type Labels } from './wire/names.ts';

/** What a name stands for; it may be several things. */
export interface Entry {
  /** Its addresses are those of the edges that the client is sent to. */
  readonly site?: Site;
  /** Its addresses are those of one node. */
  readonly addresses?: readonly string[];
  readonly records: readonly DnsRecord[];
}

/** A zone with what it says of itself. */
export interface ServedZone extends Zone {
  readonly hosts: readonly string[];
}

export type Found =
  /** Not of our zones. */
  | { readonly kind: 'elsewhere' }
  /** The name does not exist (NXDOMAIN). */
  | { readonly kind: 'none'; readonly zone: ServedZone }
  /** It exists, for there are names below it, but has nothing itself. */
  | { readonly kind: 'empty'; readonly zone: ServedZone }
  | { readonly kind: 'entry'; readonly zone: ServedZone; readonly entry: Entry };

interface Built {
  readonly zone: ServedZone;
  readonly names: Map<string, Entry>;
  /** Every name that exists, with or without something of its own. */
  readonly existing: Set<string>;
}

const NOTHING: Entry = { records: [] };

/** The zones that are delegated to the routers, and every name in them. */
export class Zones {
  readonly #byName: ReadonlyMap<string, Built>;
  readonly #edges: ReadonlyMap<string, Node>;

  constructor(config: Pick<Config, 'network' | 'sites' | 'nodes'>) {
    this.#edges = new Map(
      config.nodes.filter(({ tier }) => tier === 'edge').map((node) => [node.name, node]),
    );
    this.#byName = new Map(zonesOf(config).map((zone) => [zone.name, build(zone, config)]));
  }

  /** Looks a name up: itself, else a wildcard where nothing nearer exists (RFC 4592 §3.3). */
  find(labels: Labels): Found {
    const built = this.#zoneOf(labels);
    if (built === undefined) return { kind: 'elsewhere' };
    const { zone, names, existing } = built;
    const name = keyOf(labels);
    const entry = names.get(name) ?? this.#ofEdge(labels, built);
    if (entry !== undefined) return { kind: 'entry', zone, entry };
    if (existing.has(name)) return { kind: 'empty', zone };
    for (let i = 1; i < labels.length; i++) {
      const encloser = keyOf(labels.slice(i));
      if (!existing.has(encloser)) continue;
      const wildcard = names.get(`*.${encloser}`);
      return wildcard === undefined
        ? { kind: 'none', zone }
        : { kind: 'entry', zone, entry: wildcard };
    }
    return { kind: 'none', zone };
  }

  /** `EDGE.SITE.ZONE`: not kept as names, for they would be as many as sites times edges. */
  #ofEdge(labels: Labels, { zone, names }: Built): Entry | undefined {
    const [first = '', ...rest] = labels;
    const node = this.#edges.get(first.toLowerCase());
    if (node === undefined) return undefined;
    const { site } = names.get(keyOf(rest)) ?? NOTHING;
    const isSite = site !== undefined && siteHost(site, zone) === keyOf(rest);
    return isSite ? { addresses: addressesOf(node), records: [] } : undefined;
  }

  #zoneOf(labels: Labels): Built | undefined {
    for (let i = 0; i < labels.length; i++) {
      const built = this.#byName.get(keyOf(labels.slice(i)));
      if (built !== undefined) return built;
    }
    return undefined;
  }
}

function build(zone: Zone, { sites, nodes }: Pick<Config, 'sites' | 'nodes'>): Built {
  const names = new Map<string, Entry>([[zone.name, NOTHING]]);
  const add = (name: string, change: Partial<Entry>): void => {
    if (name !== zone.name && !name.endsWith(`.${zone.name}`)) return;
    names.set(name, { ...NOTHING, ...names.get(name), ...change });
  };
  const routers = nodes.filter(({ tier }) => tier === 'router');
  for (const site of sites) {
    for (const host of [siteHost(site, zone), ...site.hosts]) add(host, { site });
  }
  for (const node of nodes) {
    if (node.hostname !== undefined) add(node.hostname, { addresses: addressesOf(node) });
  }
  for (const record of zone.records) {
    const present = names.get(record.name)?.records ?? [];
    add(record.name, { records: [...present, record] });
  }
  const existing = new Set<string>();
  for (const name of names.keys()) {
    const bare = name.replace(/^\*\./, '');
    for (let at = bare; at !== zone.name; at = at.slice(at.indexOf('.') + 1)) existing.add(at);
    if (name !== bare) existing.add(name);
  }
  existing.add(zone.name);
  const named = routers.flatMap(({ hostname }) => (hostname === undefined ? [] : [hostname]));
  const hosts = zone.nameServers.length > 0 ? zone.nameServers : named;
  return { zone: { ...zone, hosts }, names, existing };
}
