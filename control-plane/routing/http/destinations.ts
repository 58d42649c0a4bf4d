import { edgeHost } from '#core/contract/routed-hosts.ts';
import type { Node } from '#core/contract/node.ts';
import type { Zone } from '#core/contract/routing.ts';
import type { Site } from '#core/contract/site.ts';

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
