import { CanopyError } from '#core/errors.ts';
import { destinationsOf, nobody, siteOf } from './destinations.ts';
import { type Asked, json, type Reply, requireReading } from './reply.ts';

/** The edges for a URL, the best first, for clients that choose and fail over by themselves. */
export function list({ view, beacons, request, query, address }: Asked): Reply {
  requireReading(request);
  const text = query.get('url');
  if (text === null) throw new CanopyError('invalid-request', 'Say which URL: ?url=https://…');
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new CanopyError('invalid-request', `Expected an http or https URL, received ${text}`);
  }
  const site = siteOf(view, url.hostname);
  const target = url.pathname + url.search;
  const { ranked } = destinationsOf(view, site, address, target);
  if (ranked.length === 0) throw nobody(site);
  return json({
    site: site.name,
    ttlSeconds: view.ttlSeconds(site),
    edges: ranked.map((edge) => ({
      ...edge,
      url: `${edge.url}${target}`,
      echoUrl: `${edge.url}/.canopy/echo`,
    })),
    beacon: { url: '/.canopy/beacon', token: beacons.token(address) },
  });
}
