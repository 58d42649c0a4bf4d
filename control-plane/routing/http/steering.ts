import { CanopyError } from '#core/errors.ts';
import { type Destinations, destinationsOf, siteOf } from './destinations.ts';
import { type Asked, json, type Reply, requireReading } from './reply.ts';

/** What a player says of the pathways that it has used, the one that it uses now last. */
export interface PathwayReport {
  readonly pathway: string;
  /** Bits per second; `undefined`: it does not say. */
  readonly throughput: number | undefined;
}

/**
 * A steering manifest of version 1, for HLS (RFC 8216bis §7.2) and DASH (ETSI TS 103 998 §6): each edge
 * is a clone of the pathway that the playlist names, which comes last.
 */
export function steer({ view, request, query, address }: Asked): Reply {
  requireReading(request);
  const name = query.get('site');
  const site = name === null ? siteOf(view, request.host) : view.sites.byName(name);
  const steering = site?.routing.steering;
  if (site === undefined || steering === undefined) {
    throw new CanopyError('not-found', `Site "${site?.name ?? name}" has no routing.steering`);
  }
  const destinations = destinationsOf(view, site, address);
  const { basePathway, ttlSeconds } = steering;
  const priority = prioritized(destinations, reportsOf(query), steering.slowBelowBitsPerSecond);
  return json({
    VERSION: 1,
    TTL: view.ttlSeconds({ routing: { ...site.routing, ttlSeconds } }),
    'RELOAD-URI': `/.canopy/steering?site=${site.name}`,
    'PATHWAY-PRIORITY': [...priority, basePathway],
    'PATHWAY-CLONES': destinations.ranked.map(({ name: edge, url }) => ({
      'BASE-ID': basePathway,
      ID: edge,
      // It names no port, so that edges are to be reached on that of the playlist.
      'URI-REPLACEMENT': { HOST: new URL(url).hostname },
    })),
  });
}

/**
 * The edges, the best first. A player stays where it is while that is among the nearest, for another edge
 * has none of what it is about to ask for; and pathways on which it gets too little come last.
 */
export function prioritized(
  { ranked, chosen }: Destinations,
  reports: readonly PathwayReport[],
  slowBelowBitsPerSecond = 0,
): readonly string[] {
  const slow = new Set(
    reports
      .filter(({ throughput = Infinity }) => throughput < slowBelowBitsPerSecond)
      .map(({ pathway }) => pathway),
  );
  const current = reports.at(-1)?.pathway;
  const rankOf = (name: string): number => {
    if (slow.has(name)) return 2;
    return name === current && chosen.has(name) ? 0 : 1;
  };
  return ranked.map(({ name }) => name).toSorted((a, b) => rankOf(a) - rankOf(b));
}

/** HLS names the present pathway, DASH all since it last asked, as dash.js does in their order; in quotes or without. */
export function reportsOf(query: URLSearchParams): readonly PathwayReport[] {
  const listOf = (what: string): readonly string[] => {
    const text = query.get(`_HLS_${what}`) ?? query.get(`_DASH_${what}`) ?? '';
    return text.replaceAll('"', '').split(',');
  };
  const throughputs = listOf('throughput');
  return listOf('pathway').flatMap((pathway, i) => {
    const bits = throughputs[i] ?? '';
    const throughput = /^\d+$/.test(bits) ? Number(bits) : undefined;
    return pathway === '' ? [] : [{ pathway, throughput }];
  });
}
