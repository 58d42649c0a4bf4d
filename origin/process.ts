import { join } from 'node:path';
import { pino } from 'pino';
import { systemClock } from '#core/clock.ts';
import type { Network } from '#core/contract/event.ts';
import type { Site } from '#core/contract/site.ts';
import { CanopyError } from '#core/errors.ts';
import { NodeLink } from '#core/node/link.ts';
import type { NodeOptions, RunningNode } from '#core/node/process.ts';
import { type NodeAdmin, openNodeAdmin } from '#core/serving/node-admin.ts';
import { sampleActivity } from '#core/serving/node-samples.ts';
import type { Samples } from '#core/telemetry/samples.ts';
import { type DiskStoreOptions, openDiskStore } from './disk-store.ts';
import { UNLIMITED } from './indexed-store.ts';
import type { Content, ObjectStore, SiteLimits } from './object-store.ts';
import { Releases } from './releases.ts';
import { Replicas } from './replicas.ts';
import type { BucketOptions } from './s3/bucket.ts';
import { openS3Store } from './s3/s3-store.ts';
import { sampleContent } from './samples.ts';
import { createOriginServer, type OriginServer } from './server.ts';
import { Upkeep } from './upkeep.ts';

/** How long transfers under way may take to finish once the origin is told to stop. */
const CLOSE_GRACE_MS = 10_000;

/** How long a node that is ahead of us waits for our own link to catch up before it asks a replica, or where there is none. */
const FENCE_WAIT_MS = 250;
const ALONE_WAIT_MS = 2_500;
/** How long it waits while its site is being switched to a release. */
const SWITCH_WAIT_MS = 5_000;

export interface OriginNodeOptions extends NodeOptions {
  /** Where content lies; left out: in `dir`/content. */
  readonly bucket?: BucketOptions | undefined;
}

/**
 * Runs an origin. Serves once it has a configuration.
 * @throws CanopyError `conflict` if the port or the directory is taken
 */
export async function startOrigin(options: OriginNodeOptions): Promise<RunningNode> {
  const { name, controlPlaneUrls, controlPlaneCa, credential, dir, host, port } = options;
  const clock = systemClock;
  const log = pino({ base: { node: name, tier: 'origin' } });
  let sites: ReadonlyMap<string, Site> = new Map();
  const store = await openStore(options, {
    clock,
    log,
    limitsOf: (site) => limitsOf(sites.get(site)),
    onDamaged: () => upkeep.healSoon(),
  });
  const replicas = new Replicas({ name, store, clock, log });
  const heal = (content: Content): Promise<boolean> => replicas.heal(content);
  const releases = new Releases({
    store,
    obtain: (site, digest) => replicas.obtain(site, digest),
    clock,
    log,
  });
  const upkeep: Upkeep = new Upkeep({ store, clock, log, heal });
  let network: Network | undefined;
  let server: OriginServer | undefined;
  const link = new NodeLink({
    controlPlaneUrls,
    credential,
    ...(controlPlaneCa !== undefined && { controlPlaneCa }),
    dir,
    clock,
    log,
    onConfig: async (config) => {
      network = config.network;
      sites = new Map(config.sites.map((site) => [site.name, site]));
      replicas.configure(config);
      // Before the fence moves: whoever is ahead of it is sent to another replica.
      await replicas.inStep();
      await releases.configure(config);
      // An origin caches nothing, so a purge has nothing to hit.
      return undefined;
    },
    load: () => {
      // What a publisher wrote since the lease ended was written without this origin.
      if (link.lease.ended()) replicas.suspect();
      return {
        requests: server?.traffic.requests ?? 0,
        hits: 0,
        hitBytes: 0,
        upstreamRequests: 0,
        bytesSent: server?.traffic.bytesSent ?? 0,
        objects: store.totals.objects,
        storedBytes: store.totals.bytes,
        connections: server?.activity().connections ?? 0,
        tunnels: 0,
      };
    },
  });
  let admin: NodeAdmin | undefined;
  const close = async (): Promise<void> => {
    if (admin !== undefined) admin.phase = 'stopping';
    await server?.close(CLOSE_GRACE_MS);
    await link.stop();
    // What it still fetches is cut with the replicas' connections.
    await Promise.all([releases.close(), replicas.close()]);
    await upkeep.close();
    await store.close();
    await admin?.close();
  };
  try {
    admin = await openNodeAdmin({
      address: options.admin,
      name,
      tier: 'origin',
      clock,
      link,
      group: 'origin',
      sample: (samples) => {
        sampleContent(store, upkeep, [...sites.keys()], samples);
        if (server !== undefined) sampleTraffic(server, samples);
      },
    });
    await link.start();
    server = await createOriginServer({
      store,
      network: () => {
        if (network === undefined) {
          throw new CanopyError('unavailable', 'The origin has no configuration');
        }
        return network;
      },
      clock,
      log,
      releases,
      reachesFence: async (sequence, site) => {
        if (!replicas.hasOthers && !releases.has(site)) return true;
        await link.waitForFence(sequence, replicas.hasOthers ? FENCE_WAIT_MS : ALONE_WAIT_MS);
        const isCurrent = await releases.isCurrent(site, SWITCH_WAIT_MS);
        // What is switched is acknowledged in a moment.
        return isCurrent && link.waitForFence(sequence, FENCE_WAIT_MS);
      },
      host,
      port,
    });
  } catch (error) {
    await close();
    throw error;
  }
  admin.phase = 'serving';
  upkeep.start();
  return { url: server.url, adminUrl: admin.url, close };
}

function openStore(
  { name, dir, bucket }: OriginNodeOptions,
  options: Pick<DiskStoreOptions, 'clock' | 'log' | 'limitsOf' | 'onDamaged'>,
): Promise<ObjectStore> {
  const at = { ...options, dir: join(dir, 'content') };
  return bucket === undefined ? openDiskStore(at) : openS3Store({ ...at, name, s3: bucket });
}

/** Only of a site that keeps its content here; what another left behind is not limited. */
function limitsOf(site: Site | undefined): SiteLimits {
  if (site?.origin.kind !== 'push') return UNLIMITED;
  const { quota, keepVersions } = site.origin;
  return { ...quota, keepVersions };
}

function sampleTraffic({ traffic, activity }: OriginServer, samples: Samples): void {
  sampleActivity(activity(), samples);
  samples.add('canopy_origin_sent_bytes_total', traffic.bytesSent);
  for (const [i, count] of traffic.byStatus.entries()) {
    if (count > 0) samples.add('canopy_origin_requests_total', count, `${i + 1}xx`);
  }
}
