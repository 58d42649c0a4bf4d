import { pino } from 'pino';
import { type Clock, systemClock } from '#core/clock.ts';
import type { Load } from '#core/contract/report.ts';
import { messageOf } from '#core/errors.ts';
import { ControlPlaneClient } from '#core/node/control-plane-client.ts';
import { isNotice } from '#core/node/config.ts';
import { NodeLink } from '#core/node/link.ts';
import type { NodeOptions, RunningNode } from '#core/node/process.ts';
import { TrustedProxies } from '#core/serving/client-address.ts';
import { listen, type Listener } from '#core/serving/listener.ts';
import { type NodeAdmin, openNodeAdmin } from '#core/serving/node-admin.ts';
import { sampleActivity } from '#core/serving/node-samples.ts';
import type { Samples } from '#core/telemetry/samples.ts';
import { checkOfEdge, ParentChecks } from '#core/tree/checks.ts';
import { answerHealth } from '#core/serving/health.ts';
import type { DnsAddress } from './dns/server.ts';
import type { Point } from './engine/client.ts';
import { GeoDatabases } from '#core/geography/databases.ts';
import { Geography } from './geography/geography.ts';
import { routeRequest } from './http/request.ts';
import { Beacons } from './latency/beacons.ts';
import { LatencyFollower } from './latency/follower.ts';
import { LatencyReporter } from './latency/reporter.ts';
import { DnsThreads } from './threads/threads.ts';
import { heed, type News } from './view/news.ts';
import { StandingsPoll } from './view/standings.ts';
import { RouterView } from './view/view.ts';

export interface RouterOptions extends NodeOptions {
  /** Where DNS is served, by UDP and TCP. */
  readonly dns: readonly DnsAddress[];
  /** Threads that answer DNS. */
  readonly workers: number;
  /** Files in MaxMind's format; asked before the embedded countries. */
  readonly geoDatabases: readonly string[];
  /** Where clients are whom no database knows. */
  readonly elsewhere?: Point;
  /** Answers by UDP to one network; 0: no limit. */
  readonly answersPerSecond: number;
  readonly trustedProxies: readonly string[];
}

export interface RunningRouter extends RunningNode {
  /** What each DNS server listens on. */
  readonly dns: readonly DnsAddress[];
}

const CLOSE_GRACE_MS = 5_000;

/**
 * Runs a router: it follows the journal, watches the edges, and answers by DNS and HTTP, with or
 * without the control plane.
 * @throws CanopyError `conflict` where a port is taken, `invalid-input` for a database that is none
 */
export async function startRouter(options: RouterOptions): Promise<RunningRouter> {
  const { name, controlPlaneUrls, controlPlaneCa, credential, dir, host, port } = options;
  const clock: Clock = systemClock;
  const log = pino({ base: { node: name, tier: 'router' } });
  const databases = GeoDatabases.open(options.geoDatabases);
  const geography = new Geography(databases.all, options.elsewhere);
  const view = new RouterView({ clock, geography });
  const threads = new DnsThreads({
    module: new URL('./threads/thread.ts', import.meta.url),
    count: options.workers,
    data: {
      name,
      answersPerSecond: Math.ceil(options.answersPerSecond / options.workers),
      ...(options.elsewhere !== undefined && { elsewhere: options.elsewhere }),
    },
    databases: databases.all,
    log,
  });
  const tell = (news: News): void => {
    heed(view, news);
    threads.tell(news);
  };
  databases.watch(clock, log, (database) => {
    view.moved();
    threads.renewed(database);
  });
  let down: readonly string[] = [];
  const checks = new ParentChecks({
    clock,
    onChange: (now) => {
      down = now;
      log.info({ down }, 'The edges that are down have changed');
      tell({ type: 'checked', down });
    },
  });
  const requests = new Map<number, number>();
  let listener: Listener | undefined;
  const client = new ControlPlaneClient({
    urls: controlPlaneUrls,
    credential,
    ca: controlPlaneCa,
  });
  const follower = new LatencyFollower({
    dir,
    clock,
    log,
    ask: () => client.get('/v1/node/latencies'),
    onMap: (map) => tell({ type: 'latencies', map }),
  });
  const reporter = new LatencyReporter({
    clock,
    log,
    post: (report) => client.post('/v1/node/latencies', report),
  });
  const beacons = new Beacons({ clock, geography, config: () => view.config });
  const link = new NodeLink({
    controlPlaneUrls,
    credential,
    ...(controlPlaneCa !== undefined && { controlPlaneCa }),
    dir,
    clock,
    log,
    onConfig: async (config, event) => {
      if (event?.type !== 'purge' && !isNotice(event)) {
        checks.watch(config.nodes.filter(({ tier }) => tier === 'edge').map(checkOfEdge));
        tell({ type: 'config', config });
      }
      if (event === undefined || event.type === 'latencies') follower.heed();
      // A router caches nothing, so a purge has nothing to hit.
      return undefined;
    },
    load: () => loadOf(threads, requests, listener),
    parents: () => down.map((edge) => ({ name: edge, standing: 'open' })),
  });
  let poll: StandingsPoll | undefined;
  let admin: NodeAdmin | undefined;
  const close = async (): Promise<void> => {
    if (admin !== undefined) admin.phase = 'stopping';
    await listener?.close(CLOSE_GRACE_MS);
    await threads.close();
    databases.close();
    await client.close();
    await Promise.all([poll?.stop(), follower.stop(), reporter.stop()]);
    await checks.close();
    await link.stop();
    await admin?.close();
  };
  try {
    admin = await openNodeAdmin({
      address: options.admin,
      name,
      tier: 'router',
      clock,
      link,
      group: 'router',
      sample: async (samples) => {
        sampleView(view, samples);
        for (const [result, count] of beacons.results) {
          samples.add('canopy_router_beacons_total', count, result);
        }
        samples.add('canopy_router_measured_entries', view.measuredEntries);
        for (const [status, count] of requests) {
          samples.add('canopy_router_requests_total', count, String(status));
        }
        if (listener !== undefined) sampleActivity(listener.activity(), samples);
        await threads.sample(samples);
      },
    });
    await follower.recall();
    await link.start();
    poll = new StandingsPoll({
      clock,
      log,
      ask: () => client.get('/v1/node/standings'),
      onHeard: (nodes) => tell({ type: 'standings', nodes }),
    });
    const dns = await threads.listen(options.dns);
    const http = {
      view,
      beacons,
      reporter,
      clock,
      trustedProxies: new TrustedProxies(options.trustedProxies),
      onError: (message: string) => log.error(`A request failed: ${message}`),
    };
    listener = await listen({
      host,
      port,
      handle: async (exchange) => {
        const health = answerHealth(exchange);
        if (health !== undefined) return void (await health);
        const status = await routeRequest(http, exchange);
        requests.set(status, (requests.get(status) ?? 0) + 1);
      },
      onError: (error) => log.error({ err: error }, messageOf(error)),
    });
    admin.phase = 'serving';
    log.info({ url: listener.url, admin: admin.url, dns, fence: link.fence }, 'router serves');
    return { url: listener.url, adminUrl: admin.url, dns, close };
  } catch (error) {
    await close();
    throw error;
  }
}

function loadOf(
  { total }: DnsThreads,
  requests: ReadonlyMap<number, number>,
  listener: Listener | undefined,
): Load {
  const http = [...requests.values()].reduce((sum, count) => sum + count, 0);
  return {
    requests: total + http,
    hits: 0,
    hitBytes: 0,
    upstreamRequests: 0,
    bytesSent: 0,
    objects: 0,
    storedBytes: 0,
    connections: listener?.activity().connections ?? 0,
    tunnels: 0,
  };
}

function sampleView(view: RouterView, samples: Samples): void {
  for (const { name, condition, shed } of view.candidates) {
    samples.add('canopy_router_edges', 1, condition);
    if (shed > 0) samples.add('canopy_router_shed', shed, name);
  }
  if (Number.isFinite(view.standingsAgeMs)) {
    samples.add('canopy_router_standings_age_seconds', view.standingsAgeMs / 1000);
  }
}
