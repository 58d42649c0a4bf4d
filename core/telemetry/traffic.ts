import { LATENCY_BUCKETS, type SiteTraffic, type TrafficReport } from '#core/contract/traffic.ts';
import { LATENCY_BOUNDS } from './latencies.ts';
import { type Samples, SUM } from './samples.ts';

const HITS: ReadonlySet<string> = new Set(['hit', 'stale']);

/**
 * What a node's metrics say of its traffic.
 * @param isTier whether a parent is a cache of the network, and no origin
 */
export function trafficOf(
  samples: Samples,
  isTier: (parent: string) => boolean,
): Omit<TrafficReport, 'run' | 'isFirst'> {
  const sites: Record<string, SiteTraffic> = {};
  const of = (site: string): SiteTraffic => (sites[site] ??= nothing());
  for (const [[site = '', cache = '', status = ''], count] of rowsOf('canopy_requests_total')) {
    const row = of(site);
    row.requests += count;
    if (HITS.has(cache)) row.hits += count;
    if (status === '5xx') row.errors += count;
  }
  for (const [[site = '', cache = ''], bytes] of rowsOf('canopy_sent_bytes_total')) {
    const row = of(site);
    row.bytesSent += bytes;
    if (HITS.has(cache)) row.hitBytes += bytes;
  }
  for (const [[site = '', bound = ''], count] of rowsOf('canopy_site_first_byte_seconds')) {
    if (bound !== SUM) of(site).firstByte[LATENCY_BOUNDS.indexOf(bound)] = count;
  }
  for (const row of Object.values(sites)) {
    row.firstByte = row.firstByte.map((count, i, all) => count - (all[i - 1] ?? 0));
  }
  const upstream = [...rowsOf('canopy_upstream_requests_total')];
  const sent = (counted: typeof upstream): number =>
    counted.reduce((sum, [, count]) => sum + count, 0);
  return {
    upstreamRequests: sent(upstream),
    originRequests: sent(upstream.filter(([[parent = '']]) => !isTier(parent))),
    sites,
  };

  function* rowsOf(
    name: Parameters<Samples['add']>[0],
  ): IterableIterator<readonly [readonly string[], number]> {
    for (const [labels, value] of samples.byMetric.get(name) ?? []) {
      yield [labels.split('\n'), value];
    }
  }
}

const nothing = (): SiteTraffic => ({
  requests: 0,
  hits: 0,
  bytesSent: 0,
  hitBytes: 0,
  errors: 0,
  firstByte: Array.from<number>({ length: LATENCY_BUCKETS }).fill(0),
});
