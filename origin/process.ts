import { join } from 'node:path';
import { pino } from 'pino';
import { systemClock } from '#core/clock.ts';
import type { Network } from '#core/contract/event.ts';
import { CanopyError } from '#core/errors.ts';
import { NodeLink } from '#core/node/link.ts';
import type { NodeOptions, RunningNode } from '#core/node/process.ts';
import { type NodeAdmin, openNodeAdmin } from '#core/serving/node-admin.ts';
import { sampleActivity } from '#core/serving/node-samples.ts';
import type { Samples } from '#core/telemetry/samples.ts';
import { openDiskStore } from './disk-store.ts';
import { Replicas } from './replicas.ts';
import { createOriginServer, type OriginServer } from './server.ts';

/** How long transfers under way may take to finish once the origin is told to stop. */
const CLOSE_GRACE_MS = 10_000;

/**
 * Runs an origin: its objects lie in `dir`/content. Serves once it has a configuration.
 * @throws CanopyError `conflict` if the port or the directory is taken
 */
export async function startOrigin(options: NodeOptions): Promise<RunningNode> {
  const { name, controlPlaneUrls, credential, dir, host, port } = options;
  const clock = systemClock;
  const log = pino({ base: { node: name, tier: 'origin' } });
  const store = await openDiskStore({ dir: join(dir, 'content'), clock, log });
  const replicas = new Replicas({ name, store, clock, log });
  let network: Network | undefined;
  let server: OriginServer | undefined;
  const link = new NodeLink({
    controlPlaneUrls,
    credential,
    dir,
    clock,
    log,
    onConfig: async (config) => {
      network = config.network;
      replicas.configure(config);
      // Before the fence moves: whoever is ahead of it is sent to another replica.
      await replicas.inStep();
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
    await replicas.close();
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
        samples.add('canopy_origin_objects', store.totals.objects);
        samples.add('canopy_origin_bytes', store.totals.bytes);
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
      reachesFence: async (sequence, timeoutMs) =>
        !replicas.hasOthers || link.waitForFence(sequence, timeoutMs),
      host,
      port,
    });
  } catch (error) {
    await close();
    throw error;
  }
  admin.phase = 'serving';
  return { url: server.url, adminUrl: admin.url, close };
}

function sampleTraffic({ traffic, activity }: OriginServer, samples: Samples): void {
  sampleActivity(activity(), samples);
  samples.add('canopy_origin_sent_bytes_total', traffic.bytesSent);
  for (const [i, count] of traffic.byStatus.entries()) {
    if (count > 0) samples.add('canopy_origin_requests_total', count, `${i + 1}xx`);
  }
}
