import { mkdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { pino } from 'pino';
import { memoryLedger } from '#core/cache/memory-share.ts';
import type { PolicyName } from '#core/cache/eviction/policies.ts';
import { servedSite } from '#core/cache/served-site.ts';
import { systemClock } from '#core/clock.ts';
import type { Node, Tier } from '#core/contract/node.ts';
import { type Ailment, ailmentSchema } from '#core/contract/report.ts';
import { GeoDatabases } from '#core/geography/databases.ts';
import { limitMemory } from '#core/limits/limit-memory.ts';
import { isNotice } from '#core/node/config.ts';
import { NodeLease } from '#core/node/lease.ts';
import { NodeLink } from '#core/node/link.ts';
import type { NodeOptions, RunningNode } from '#core/node/process.ts';
import { NodePushes } from '#core/node/pushes.ts';
import { TrafficReporter } from '#core/node/traffic-reporter.ts';
import { OwnUse } from '#core/node/used-part.ts';
import { checksFor, ParentChecks } from '#core/tree/checks.ts';
import type { Budget } from '#core/cache/disk/limits.ts';
import { type ClientLimits, ofThread } from './clients/limits.ts';
import { NodeDisk } from './disk/node-disk.ts';
import { bind } from './listener.ts';
import { type AccessLogOptions, NodeLog } from '#core/telemetry/access-log/node-log.ts';
import type { LogContent } from '#core/telemetry/access-log/thread-log.ts';
import { siteRows } from '#core/telemetry/counters.ts';
import { Samples } from '#core/telemetry/samples.ts';
import { trafficOf } from '#core/telemetry/traffic.ts';
import { Lacking } from './lacking.ts';
import { type NodeAdmin, openNodeAdmin } from './node-admin.ts';
import { Threads } from './threads.ts';
import type { UnknownNamePolicy } from './tls/messages.ts';
import { NodeTls } from './tls/node-tls.ts';

export interface ServingOptions extends NodeOptions {
  /** Threads that accept on the same port and share the memory by need. */
  readonly workers: number;
  /** Budget of the memory store of the whole node. */
  readonly memoryBytes: number;
  /** Of proxies before an edge; none by default. */
  readonly trustedProxies?: readonly string[];
  /** What all threads together let clients have; left out: nobody is counted. */
  readonly clientLimits?: ClientLimits;
  /** Of an edge: databases of where addresses are, see `GeoDatabase`, in the order in which they are believed. */
  readonly geoDatabases?: readonly string[];
  /** Whether plain hits of an edge are answered before a request is parsed in full. */
  readonly hitLane?: boolean;
  /** How long answers under way may take to finish when the node is told to stop, ms. */
  readonly drainMs?: number;
  /** Of an edge: where limits are counted for the whole network; left out: each edge counts by itself. */
  readonly rateLimitRedis?: string | undefined;
  readonly memoryPolicy: PolicyName;
  /** Disk of the whole node for what slow clients have not read yet. */
  readonly spillBytes: number;
  /** Of an edge: where it serves TLS; left out: nowhere. */
  readonly tls?: TlsOptions | undefined;
  /** What it keeps on disk; left out: nothing. */
  readonly disk?: DiskOptions | undefined;
  /** Where it writes requests down; left out: nowhere. */
  readonly accessLog?: AccessLogOptions | undefined;
}

export interface TlsOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly unknownName: UnknownNamePolicy;
}

export interface DiskOptions extends Budget {
  /** Left out: `disk` in the node's own. */
  readonly dir?: string | undefined;
}

const DRAIN_MS = 10_000;
/** A thread says every second how it is. */
const THREAD_SILENT_MS = 5_000;

/**
 * Runs an edge or mid-tier: this thread keeps the node's link, the others serve.
 * @param module what a serving thread runs
 * @throws CanopyError `conflict` where the port is taken
 */
export async function startServing(
  tier: Tier,
  module: URL,
  options: ServingOptions,
): Promise<RunningNode> {
  const { name, host, port, workers, memoryBytes, memoryPolicy, spillBytes, dir } = options;
  // Lines of the access log have standard output to themselves.
  const descriptor = options.accessLog?.to.kind === 'stdout' ? 2 : 1;
  const log = pino({ name, base: null }, pino.destination(descriptor));
  await mkdir(dir, { recursive: true });
  await assertFree(host, port);
  if (options.tls !== undefined) await assertFree(options.tls.host, options.tls.port);
  const accessLog = options.accessLog && (await NodeLog.open(options.accessLog, systemClock, log));
  const lease = new NodeLease(systemClock);
  const disk =
    options.disk &&
    (await NodeDisk.open({
      ...options.disk,
      dir: options.disk.dir ?? join(dir, 'disk'),
      clock: systemClock,
      log,
    }));
  const tls =
    options.tls &&
    (await NodeTls.open({
      dir,
      clock: systemClock,
      log,
      unknownName: options.tls.unknownName,
      get: (path) => link.get(path),
    }));
  const databases = GeoDatabases.open(options.geoDatabases ?? []);
  const threads = new Threads({
    module,
    count: workers,
    data: {
      name,
      tier,
      memoryBytes: Math.floor(memoryBytes / workers),
      memory: workers > 1 ? memoryLedger(memoryBytes, workers) : undefined,
      memoryPolicy,
      spill: { dir: join(dir, 'spill'), bytes: Math.floor(spillBytes / workers) },
      trustedProxies: options.trustedProxies ?? [],
      clientLimits: options.clientLimits && ofThread(options.clientLimits, workers),
      geography: databases.given.map(({ file, content }) => ({ file, content })),
      limits: tier === 'edge' ? limitMemory(workers) : undefined,
      rateLimitRedis: options.rateLimitRedis,
      hitLane: options.hitLane ?? false,
      lease: lease.memory,
      log: options.accessLog && contentOf(options.accessLog),
    },
    disk,
    tls,
    accessLog,
    log,
  });
  const use = new OwnUse(systemClock, () => threads.load());
  /** As the journal has it. */
  let self: Node | undefined;
  /** Parents that are no origins. */
  let midTiers: ReadonlySet<string> = new Set();
  /** The sites that metrics tell apart. */
  const sites = siteRows(0);
  const checks = new ParentChecks({
    clock: systemClock,
    onChange: (down) => {
      log.info({ down }, 'The parents that are down have changed');
      threads.checked(down);
    },
  });
  const ailing = (): Readonly<Record<Ailment, boolean>> => ({
    'thread-silent': threads.silentForMs > THREAD_SILENT_MS,
    'disk-failing': options.disk !== undefined && disk?.works !== true,
  });
  const link = new NodeLink({
    controlPlaneUrls: options.controlPlaneUrls,
    credential: options.credential,
    ...(options.controlPlaneCa !== undefined && { controlPlaneCa: options.controlPlaneCa }),
    dir,
    clock: systemClock,
    log,
    lease,
    heeded: disk?.fence,
    onConfig: async (config, event, reset) => {
      if (event?.type !== 'purge' && !isNotice(event)) {
        checks.watch(checksFor(config, { name, tier }));
      }
      self = config.nodes.find((node) => node.name === name);
      midTiers = new Set(
        config.nodes.filter((node) => node.tier === 'mid-tier').map((node) => node.name),
      );
      if (tier === 'edge') lacking.heed(config.sites);
      sites.name(config.sites.map((site) => site.name));
      tls?.heed(config);
      await disk?.follow(config.journal);
      const report = await threads.apply(config, event, reset);
      await disk?.advance(config.sequence);
      pushes.heed(event);
      return report;
    },
    checkSite: servedSite,
    load: () => threads.load(),
    parents: () => threads.parents(),
    ailments: () => ailmentSchema.options.filter((ailment) => ailing()[ailment]),
    missingCertificates: () => tls?.missingCertificates ?? [],
    answer: (question) => threads.answer(question),
  });
  databases.watch(systemClock, log, ({ file, content }) => threads.renewed({ file, content }));
  const lacking = new Lacking(log, {
    asn: (options.geoDatabases ?? []).length > 0,
    'network-limits': options.rateLimitRedis !== undefined,
  });
  const pushes = new NodePushes({
    clock: systemClock,
    log,
    place: (...asked) => threads.place(...asked),
    post: (request) => link.post('/v1/node/pushes', request),
  });
  const traffic = new TrafficReporter({
    clock: systemClock,
    log,
    traffic: async () => {
      const samples = new Samples();
      await threads.sample(samples);
      return trafficOf(samples, (parent) => midTiers.has(parent));
    },
    post: (report) => link.post('/v1/node/traffic', report),
  });
  let admin: NodeAdmin | undefined;
  const close = async (): Promise<void> => {
    if (admin !== undefined) admin.phase = 'stopping';
    databases.close();
    traffic.stop();
    await pushes.stop();
    await threads.close(options.drainMs ?? DRAIN_MS);
    await accessLog?.close();
    await checks.close();
    await tls?.close();
    await link.stop();
    await disk?.close();
    await admin?.close();
  };
  const reopenLog = accessLog && ((): Promise<void> => accessLog.reopen());
  try {
    admin = await openNodeAdmin({
      address: options.admin,
      name,
      tier,
      clock: systemClock,
      link,
      group: 'cache',
      sample: async (samples) => {
        pushes.sample(samples);
        if (options.disk !== undefined) {
          samples.add('canopy_disk_works', disk?.works === true ? 1 : 0);
        }
        await disk?.sample(samples, (site) => sites.labelOf(site));
        await threads.sample(samples);
        accessLog?.sample(samples);
      },
      facts: () => (options.disk === undefined ? {} : { disk: disk?.health ?? { state: 'ended' } }),
      findings: () => ({
        draining: self?.draining === true,
        overloaded: use.part(self?.limits) >= 1,
        ...ailing(),
      }),
    });
    await link.start();
    tls?.start();
    const url = await threads.listen(host, port);
    const tlsUrl =
      options.tls && (await threads.listen(options.tls.host, options.tls.port, 'https'));
    admin.phase = 'serving';
    pushes.start();
    traffic.start();
    log.info({ url, tlsUrl, admin: admin.url, workers, fence: link.fence }, `${tier} serves`);
    return { url, ...(tlsUrl !== undefined && { tlsUrl }), adminUrl: admin.url, reopenLog, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** What threads have to know of it: not where it goes, nor the secret for that. */
const contentOf = ({ format, sample, addresses, mask }: AccessLogOptions): LogContent => ({
  format,
  sample,
  addresses,
  mask,
});

/** Several threads share a port by an option that would let another node share it too. */
async function assertFree(host: string, port: number): Promise<void> {
  if (port === 0) return;
  const probe = createServer();
  await bind(probe, { host, port });
  await new Promise((resolve) => void probe.close(resolve));
}
