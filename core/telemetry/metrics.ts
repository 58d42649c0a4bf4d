import type { LabelName } from './labels.ts';

/** Which processes have a metric. `node`: all but control planes; `cache`: edges and mid-tiers. */
export type MetricGroup = 'process' | 'node' | 'cache' | 'origin' | 'router' | 'control-plane';

export interface Metric {
  readonly group: MetricGroup;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly labels: readonly LabelName[];
  readonly help: string;
}

const of =
  (group: MetricGroup) =>
  (type: Metric['type'], labels: readonly LabelName[], help: string): Metric => ({
    group,
    type,
    labels,
    help,
  });
const process = of('process');
const node = of('node');
const cache = of('cache');
const origin = of('origin');
const router = of('router');
const controlPlane = of('control-plane');

/**
 * Every metric of Canopy's own by its name. Names are API: never renamed, only added.
 * Units and endings are those of Prometheus: seconds, bytes, `_total` for what only grows.
 */
export const METRICS = {
  canopy_build_info: process('gauge', ['name', 'version'], '1; tells the version and the name'),

  canopy_fence_sequence: node('gauge', [], 'Journal sequence that all threads have heeded'),
  canopy_journal_lag_events: node('gauge', [], 'Events that the node was told of, not heeded yet'),
  canopy_journal_connected: node('gauge', [], '1 while the node follows the journal'),
  canopy_lease_remaining_seconds: node('gauge', [], 'Until the lease ends; 0 once it has'),
  canopy_connections: node('gauge', [], 'Open client connections, tunnels among them'),
  canopy_connections_accepted_total: node('counter', [], 'Client connections accepted'),
  canopy_tunnels: node('gauge', [], 'Connections that have left HTTP, such as WebSockets'),
  canopy_requests_under_way: node('gauge', [], 'Requests whose answer is not complete'),

  canopy_requests_total: cache('counter', ['site', 'cache', 'status'], 'Requests answered'),
  canopy_sent_bytes_total: cache('counter', ['site', 'cache'], 'Content sent to clients'),
  canopy_first_byte_seconds: cache('histogram', ['cache'], 'From the request to its answer'),
  canopy_site_first_byte_seconds: cache(
    'histogram',
    ['site'],
    'From the request to its answer, by site',
  ),
  canopy_request_seconds: cache(
    'histogram',
    ['cache'],
    'From the request to the end of its answer',
  ),
  canopy_protocol_requests_total: cache(
    'counter',
    ['site', 'protocol'],
    'Requests answered, by the version of HTTP',
  ),
  canopy_hit_lane_requests_total: cache('counter', [], 'Requests that the hit lane has answered'),
  canopy_decisions_total: cache('counter', ['action', 'reason'], 'What was decided, and why'),
  canopy_clients_refused_total: cache('counter', ['limit'], 'Clients that have met a limit'),
  canopy_errors_total: cache('counter', ['code'], 'Failures that the node answered itself'),
  canopy_tls_handshakes_total: cache(
    'counter',
    ['version', 'resumed'],
    'Handshakes of TLS that came about',
  ),
  canopy_tls_handshake_failures_total: cache('counter', [], 'Handshakes of TLS that did not'),
  canopy_access_log_records_total: cache('counter', [], 'Requests written to the access log'),
  canopy_access_log_bytes_total: cache('counter', [], 'Bytes of their lines'),
  canopy_access_log_dropped_total: cache(
    'counter',
    ['why'],
    'Requests that the access log should have, and lost',
  ),
  canopy_access_log_retries_total: cache('counter', [], 'Batches of it that were posted again'),
  canopy_limits_forgotten_total: cache('counter', [], 'Counts of clients that found no room'),
  canopy_network_limits_lost_total: cache('counter', [], 'Counts that Redis did not take'),
  canopy_upstream_requests_total: cache(
    'counter',
    ['parent', 'result'],
    'Requests sent to parents',
  ),
  canopy_function_calls_total: cache('counter', ['site', 'result'], "Calls of sites' functions"),
  canopy_fills: cache('gauge', [], 'Fetches under way that are shared by all who want the object'),
  canopy_fill_waiters: cache('gauge', [], 'Requests that wait for a fetch'),
  canopy_fill_bytes: cache('gauge', [], 'Memory that fetches under way hold'),
  canopy_spill_bytes: cache('gauge', [], 'Disk that holds what slow clients have not read yet'),
  canopy_fills_not_kept_total: cache('counter', [], 'Bodies not stored for lack of memory'),
  canopy_waiters_refused_total: cache('counter', [], 'Requests that found maxWaiters waiting'),
  canopy_waiters_timed_out_total: cache('counter', [], 'Requests that waited waitTimeoutMs'),
  canopy_stale_while_slow_total: cache('counter', [], 'Stale answers, for no parent was in time'),
  canopy_refreshes_skipped_total: cache('counter', [], 'Refreshes behind beyond maxRefreshes'),
  canopy_refills_limited_total: cache(
    'counter',
    [],
    'Requests given softly purged content beyond refillsPerSecond',
  ),
  canopy_sibling_fetches_total: cache('counter', [], 'Fetches that another thread answered'),
  canopy_store_objects: cache('gauge', ['store'], 'Objects stored'),
  canopy_store_bytes: cache('gauge', ['store'], 'Bytes of the budget that they take'),
  canopy_store_budget_bytes: cache('gauge', ['store', 'policy'], 'The budget, and who leaves'),
  canopy_store_lookups_total: cache('counter', ['store'], 'Keys looked up'),
  canopy_store_hits_total: cache('counter', ['store'], 'Keys found, usable or not'),
  canopy_store_hit_bytes_total: cache('counter', ['store'], 'Content under the keys found'),
  canopy_store_stored_total: cache('counter', ['store'], 'Objects taken in'),
  canopy_store_stored_bytes_total: cache('counter', ['store'], 'Bytes that they took'),
  canopy_store_refused_total: cache('counter', ['store'], 'Objects not taken in'),
  canopy_store_evicted_total: cache('counter', ['store', 'reason'], 'Objects that have left'),
  canopy_store_evicted_bytes_total: cache('counter', ['store'], 'Bytes that they took'),
  canopy_site_stored_objects: cache(
    'gauge',
    ['site'],
    'Objects stored of a site, in memory or on disk',
  ),
  canopy_site_stored_bytes: cache('gauge', ['site'], 'Bytes that they take where most of them are'),
  canopy_site_store_objects: cache('gauge', ['site', 'store'], 'Objects stored of a site'),
  canopy_site_store_bytes: cache('gauge', ['site', 'store'], 'Bytes of the budget that they take'),
  canopy_site_store_hits_total: cache('counter', ['site', 'store'], 'Keys found, usable or not'),
  canopy_site_store_hit_bytes_total: cache(
    'counter',
    ['site', 'store'],
    'Content under the keys found',
  ),
  canopy_site_store_stored_total: cache('counter', ['site', 'store'], 'Objects taken in'),
  canopy_site_store_stored_bytes_total: cache('counter', ['site', 'store'], 'Content of them'),
  canopy_site_store_refused_total: cache('counter', ['site', 'store'], 'Objects not taken in'),
  canopy_site_store_evicted_total: cache(
    'counter',
    ['site', 'store', 'reason'],
    'Objects that have left',
  ),
  canopy_site_store_evicted_bytes_total: cache(
    'counter',
    ['site', 'store'],
    'Bytes that they took',
  ),
  canopy_disk_works: cache('gauge', [], '1 while the disk store takes what is stored'),
  canopy_disk_failures_total: cache('counter', ['error'], 'Times that the disk store has failed'),
  canopy_disk_files: cache('gauge', [], 'Files of the disk store'),
  canopy_disk_reserved_bytes: cache('gauge', [], 'Bytes of the disk store that are in its reserve'),
  canopy_disk_seconds: cache('histogram', ['operation'], 'How long a thread waits for the disk'),
  canopy_push_objects_total: cache('counter', ['result'], 'Objects of pushes that were settled'),
  canopy_push_bytes_total: cache('counter', [], 'Content fetched for pushes'),
  canopy_threads: cache('gauge', [], 'Threads that serve'),
  canopy_threads_failed_total: cache('counter', [], 'Threads that ended unasked; each is replaced'),
  canopy_thread_loop_active_seconds_total: cache('counter', ['thread'], 'Time not spent idle'),
  canopy_thread_loop_delay_seconds: cache(
    'gauge',
    ['thread'],
    '99th percentile of the event loop delay since the last scrape',
  ),
  canopy_thread_memory_bytes: cache('gauge', ['thread'], 'Memory that it may fill with objects'),
  canopy_thread_heap_bytes: cache('gauge', ['thread'], 'JavaScript heap in use'),

  canopy_origin_requests_total: origin('counter', ['status'], 'Requests answered'),
  canopy_origin_sent_bytes_total: origin('counter', [], 'Content sent'),
  canopy_origin_objects: origin('gauge', [], 'Objects kept'),
  canopy_origin_bytes: origin('gauge', [], 'Bytes of all contents kept'),
  canopy_origin_site_objects: origin('gauge', ['site'], 'Objects kept of a site'),
  canopy_origin_site_bytes: origin('gauge', ['site'], 'Bytes of the contents kept of a site'),
  canopy_origin_site_max_bytes: origin('gauge', ['site'], 'Its quota, where it has one'),
  canopy_origin_checked_total: origin('counter', [], 'Contents compared with their digest'),
  canopy_origin_checked_bytes_total: origin('counter', [], 'Bytes of them'),
  canopy_origin_damaged: origin('gauge', [], 'Contents that are not what their digest says'),
  canopy_origin_healed_total: origin('counter', [], 'Damaged contents put again from a replica'),
  canopy_origin_collected_total: origin('counter', [], 'Contents freed that nothing referred to'),
  canopy_origin_collected_bytes_total: origin('counter', [], 'Bytes of them'),

  canopy_dns_queries_total: router('counter', ['transport', 'type', 'rcode'], 'Queries answered'),
  canopy_dns_ignored_total: router('counter', [], 'Messages that were no queries'),
  canopy_dns_rate_limited_total: router(
    'counter',
    ['how'],
    'Answers that the rate limit dropped, or sent truncated',
  ),
  canopy_dns_truncated_total: router('counter', [], 'Answers that did not fit, sent truncated'),
  canopy_dns_tcp_connections: router('gauge', [], 'Open TCP connections for DNS'),
  canopy_dns_threads: router('gauge', [], 'Threads that answer DNS'),
  canopy_dns_threads_failed_total: router(
    'counter',
    [],
    'Threads that ended unasked; each is replaced',
  ),
  canopy_router_requests_total: router('counter', ['status'], 'HTTP requests answered'),
  canopy_router_edges: router('gauge', ['condition'], 'Edges by how they are'),
  canopy_router_shed: router('gauge', ['node'], 'Part of its clients that an edge sheds for load'),
  canopy_router_beacons_total: router(
    'counter',
    ['result'],
    'Beacons of clients: accepted, or why not',
  ),
  canopy_router_measured_entries: router('gauge', [], 'Networks, ASNs and countries measured'),
  canopy_router_standings_age_seconds: router(
    'gauge',
    [],
    'Since the control plane last told how the edges are',
  ),

  canopy_journal_sequence: controlPlane('gauge', [], 'Sequence of the last event'),
  canopy_journal_streams: controlPlane('gauge', [], 'Nodes that follow the journal'),
  canopy_nodes: controlPlane('gauge', ['state'], 'Nodes by how they stand'),
  canopy_node_journal_lag_events: controlPlane(
    'gauge',
    ['node'],
    'Events that the node has not acknowledged',
  ),
  canopy_certificate_remaining_seconds: controlPlane(
    'gauge',
    ['certificate'],
    'Until the certificate expires; below 0 once it has',
  ),
  canopy_certificate_order_failures: controlPlane(
    'gauge',
    ['certificate'],
    'Attempts in a row to order it that have failed',
  ),
  canopy_purges_pending: controlPlane('gauge', [], 'Purges that are not complete'),
  canopy_purges_completed_total: controlPlane('counter', [], 'Purges completed'),
  canopy_pushes_running: controlPlane('gauge', [], 'Pushes that are under way'),
  canopy_api_requests_total: controlPlane(
    'counter',
    ['method', 'route', 'status'],
    'Requests to the API',
  ),
  canopy_api_unknown_secrets_total: controlPlane(
    'counter',
    [],
    'Tokens and credentials that were not known',
  ),
} as const satisfies Record<string, Metric>;

export type MetricName = keyof typeof METRICS;

/** The names of the metrics of the given groups. */
export const metricsOf = (groups: readonly MetricGroup[]): readonly MetricName[] =>
  (Object.keys(METRICS) as MetricName[]).filter((name) => groups.includes(METRICS[name].group));
