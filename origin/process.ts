import { join } from 'node:path';
import { pino } from 'pino';
import { systemClock } from '#core/clock.ts';
import type { Network } from '#core/contract/event.ts';
import { CanopyError } from '#core/errors.ts';
import { NodeLink } from '#core/node/link.ts';
import type { NodeOptions, RunningNode } from '#core/node/process.ts';
import { DiskStore } from './disk-store.ts';
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
  const store = await DiskStore.open({ dir: join(dir, 'content'), clock, log });
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
        upstreamRequests: 0,
        bytesSent: server?.traffic.bytesSent ?? 0,
        objects: store.totals.objects,
        storedBytes: store.totals.bytes,
      };
    },
  });
  const close = async (): Promise<void> => {
    await server?.close(CLOSE_GRACE_MS);
    await link.stop();
    await replicas.close();
    await store.close();
  };
  try {
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
  return { url: server.url, close };
}
