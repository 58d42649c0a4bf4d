import type { Node } from '#core/contract/node.ts';
import type { Zone } from '#core/contract/routing.ts';
import { edgeHost, zonesOf } from '#core/contract/routed-hosts.ts';
import type { Site } from '#core/contract/site.ts';
import { CanopyError } from '#core/errors.ts';
import type { Prefix } from '../engine/prefix.ts';
import type { RouterView } from '../view/view.ts';

/** Edges that are named to a client that chooses by itself. */
const LIST_LENGTH = 5;

/** An edge as clients are told of it. */
export interface Destination {
  readonly name: string;
  /** Base URL for the site. */
  readonly url: string;
  readonly location: string;
  /** Expected, ms; `null`: nothing is known. */
  readonly roundTripMs: number | null;
}

/**
 * The base URL under which a client reaches one edge for one site: by the name that the edge has for
 * it in the first zone; where it has none, by the edge's own name, or as its nodes reach it.
 */
export function baseUrlOf(
  node: Node,
  site: Pick<Site, 'name' | 'hosts'>,
  zones: readonly Pick<Zone, 'name'>[],
): string {
  // A site without a host of its own is asked for by any.
  const hasHost = site.hosts.some((host) => !host.startsWith('*'));
  const zone = hasHost ? zones[0] : undefined;
  const url = new URL(node.url);
  const host = zone === undefined ? node.hostname : edgeHost(node, site, zone);
  if (host !== undefined) url.hostname = host;
  return url.origin;
}

/** Where a client may go. */
export interface Destinations {
  /** The best first. */
  readonly ranked: readonly Destination[];
  /** Names of those that are as near as the first, the others being for when these fail. */
  readonly chosen: ReadonlySet<string>;
}

/** @param target what equal edges share out by its path; left out: they share the clients */
export function destinationsOf(
  view: RouterView,
  site: Site,
  address: Prefix,
  target?: string,
): Destinations {
  const { config, routes, source } = view;
  if (config === undefined || source === undefined) throw nobody(site);
  const path = target?.split('?', 1)[0];
  const decision = routes.decide(site, routes.locate(address), undefined, path);
  const ranked = decision.ranked.slice(0, LIST_LENGTH).flatMap(({ name, roundTripMs }) => {
    const node = source.nodes.get(name);
    if (node === undefined) return [];
    return [
      {
        name,
        url: baseUrlOf(node, site, zonesOf(config)),
        location: node.location.name,
        roundTripMs: roundTripMs === undefined ? null : Math.round(roundTripMs * 10) / 10,
      },
    ];
  });
  return { ranked, chosen: new Set(decision.chosen.map(({ name }) => name)) };
}

/** @throws CanopyError `unknown-host` */
export function siteOf({ sites }: RouterView, host: string): Site {
  const site = sites.byHost(host);
  if (site === undefined) throw new CanopyError('unknown-host', `No site has the host ${host}`);
  return site;
}

export const nobody = ({ name }: Site): CanopyError =>
  new CanopyError('unavailable', `No edge may be named for site "${name}"`);
