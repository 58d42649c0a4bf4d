import { parentPort, workerData } from 'node:worker_threads';
import { pino } from 'pino';
import { startControlPlane } from '#control-plane/server.ts';

// A control plane in a thread of its own, as in a process of its own, until it is told to stop.

const { dir, adminToken } = workerData as { readonly dir: string; readonly adminToken: string };
const controlPlane = await startControlPlane({
  dir,
  adminToken,
  host: '127.0.0.1',
  port: 0,
  // Hundreds of nodes share one thread of the benchmark, and may be late to say that they live.
  leaseMs: 60_000,
  admin: { host: '127.0.0.1', port: 0 },
  log: pino({ level: 'warn' }),
});
parentPort?.once('message', () => void controlPlane.close().then(() => parentPort?.close()));
parentPort?.postMessage(controlPlane.url);
