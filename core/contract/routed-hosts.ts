import type { Config } from './event.ts';
import type { Node } from './node.ts';
import { DEFAULT_NETWORK_ROUTING, type Zone } from './routing.ts';
import type { Site } from './site.ts';

/** The zones that are delegated to the routers. */
export const zonesOf = ({ network }: Pick<Config, 'network'>): readonly Zone[] =>
  (network.routing ?? DEFAULT_NETWORK_ROUTING).zones;

/** The name that a site has in a zone, for CNAMEs of its own hosts to point to. */
export const siteHost = (site: Pick<Site, 'name'>, zone: Pick<Zone, 'name'>): string =>
  `${site.name}.${zone.name}`;

/** The name of one edge as it serves one site, to which clients are redirected. */
export const edgeHost = (
  node: Pick<Node, 'name'>,
  site: Pick<Site, 'name'>,
  zone: Pick<Zone, 'name'>,
): string => `${node.name}.${siteHost(site, zone)}`;

/** A site with the hosts that it has in the zones, beside its own. */
export function withRoutedHosts<S extends Pick<Site, 'name' | 'hosts'>>(
  site: S,
  zones: readonly Pick<Zone, 'name'>[],
): S {
  if (zones.length === 0) return site;
  const routed = zones.flatMap((zone) => [siteHost(site, zone), `*.${siteHost(site, zone)}`]);
  return { ...site, hosts: [...new Set([...site.hosts, ...routed])] };
}

/**
 * What a request under one of the routers' names is for: the site's first host that is no pattern, so
 * that objects have one key, and one purge, whichever way a client came.
 */
export function ownHostOf(
  site: Pick<Site, 'name' | 'hosts'>,
  zones: readonly Pick<Zone, 'name'>[],
): (host: string) => string {
  const own = site.hosts.find((host) => !host.startsWith('*'));
  if (own === undefined || zones.length === 0) return (host) => host;
  const names = zones.map((zone) => siteHost(site, zone));
  const isRouted = (host: string): boolean =>
    !site.hosts.includes(host) && names.some((name) => host === name || host.endsWith(`.${name}`));
  return (host) => (isRouted(host) ? own : host);
}
