import { type AddressInfo, createServer, type Server as NetServer } from 'node:net';
import { CanopyError } from '#core/errors.ts';
import { Http1Service, type Http1Options } from './http1.ts';
import type { Activity, Service } from './service.ts';

export interface Place {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Several threads accept on the same port. */
  readonly reusePort?: boolean;
}

export interface ListenerOptions extends Place, Http1Options {}

export interface Listener {
  /** Base URL. */
  readonly url: string;
  readonly port: number;
  readonly activity: () => Activity;
  /** Stops accepting, lets answers under way finish for up to `graceMs`, then cuts what is left. */
  close(graceMs: number): Promise<void>;
}

/** While draining, how often connections that have become idle are closed. */
const SWEEP_MS = 100;

/**
 * Plain HTTP/1.1.
 * @throws CanopyError `conflict` where the port is taken
 */
export async function listen(options: ListenerOptions): Promise<Listener> {
  const service = new Http1Service(options);
  // Halves of connections as node:http has them.
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) =>
    service.adopt(socket),
  );
  await bind(server, options);
  const { port } = server.address() as AddressInfo;
  return {
    url: baseUrl('http', options.host, port),
    port,
    activity: () => service.activity(),
    close: (graceMs) => drain(server, [service], graceMs),
  };
}

/** Ends a server whose connections `services` serve. */
export async function drain(
  server: NetServer,
  services: readonly Service[],
  graceMs: number,
): Promise<void> {
  const closed = new Promise<void>((resolve) => void server.close(() => resolve()));
  const sweep = (): void => {
    for (const service of services) service.drain();
  };
  sweep();
  const sweeping = setInterval(sweep, SWEEP_MS);
  const cut = setTimeout(() => {
    for (const service of services) service.cut();
  }, graceMs);
  await closed;
  clearInterval(sweeping);
  clearTimeout(cut);
}

/** @returns once `server` listens */
export function bind(server: NetServer, { host, port, reusePort = false }: Place): Promise<void> {
  return new Promise((resolve, reject) => {
    const refuse = (error: NodeJS.ErrnoException): void => {
      const where = `${host}:${port}`;
      reject(
        error.code === 'EADDRINUSE'
          ? new CanopyError('conflict', `${where} is in use`, { cause: error })
          : new CanopyError('internal-error', `Cannot listen on ${where}: ${error.message}`, {
              cause: error,
            }),
      );
    };
    server.once('error', refuse);
    server.listen({ host, port, reusePort, backlog: 1024 }, () => {
      server.off('error', refuse);
      resolve();
    });
  });
}

export const baseUrl = (scheme: 'http' | 'https', host: string, port: number): string =>
  `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`;
