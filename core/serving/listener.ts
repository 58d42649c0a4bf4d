import { type AddressInfo, createServer, type Server as NetServer, type Socket } from 'node:net';
import { CanopyError } from '#core/errors.ts';
import { Clients } from './clients/clients.ts';
import { Http1Service, type Http1Options } from './http1.ts';
import type { Activity, Service } from './service.ts';
import { refuseConnection } from './unreadable.ts';

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
  const { clients = new Clients() } = options;
  const service = new Http1Service({ ...options, clients });
  const refused = new Set<Socket>();
  // Halves of connections as node:http has them.
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    const refusal = clients.admit(socket);
    if (refusal === undefined) service.adopt(socket);
    else turnAway(socket, refusal, refused);
  });
  await bind(server, options);
  const { port } = server.address() as AddressInfo;
  const rest: Service = {
    adopt: () => undefined,
    activity: () => service.activity(),
    drain: () => undefined,
    cut: () => {
      for (const socket of refused) socket.destroy();
    },
  };
  return {
    url: baseUrl('http', options.host, port),
    port,
    activity: () => service.activity(),
    close: (graceMs) => drain(server, [service, rest], graceMs),
  };
}

/** Those that are refused with an answer at a time; the others are only cut. */
const MAX_ANSWERED_REFUSALS = 256;

/** Tells a client why it is not served, whatever it wants. */
function turnAway(socket: Socket, why: CanopyError, refused: Set<Socket>): void {
  socket.on('error', () => undefined);
  if (refused.size >= MAX_ANSWERED_REFUSALS) {
    socket.destroy();
    return;
  }
  refused.add(socket);
  socket.once('close', () => refused.delete(socket));
  socket.resume();
  refuseConnection(why, socket);
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
