import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Server as NetServer, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { CanopyError } from '#core/errors.ts';
import { type Exchange, HttpExchange } from './exchange.ts';
import { problemOf } from './problem.ts';
import { refuseUnreadable } from './unreadable.ts';
import { detachedExchange, isUpgrade, MAX_TUNNELS } from './upgrade.ts';

export interface ListenerOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Several threads accept on the same port. */
  readonly reusePort?: boolean;
  /** Connections that may have left HTTP at a time; beyond it upgrades are refused with 503. */
  readonly maxTunnels?: number;
  readonly handle: (exchange: Exchange) => Promise<void>;
  /** Called with what `handle` should have dealt with itself. */
  readonly onError: (error: unknown) => void;
}

/** What a listener has in hand. */
export interface Activity {
  /** Open connections, tunnels among them. */
  readonly connections: number;
  /** Connections since the start. */
  readonly accepted: number;
  /** Connections that have left HTTP, or ask to. */
  readonly tunnels: number;
  /** Requests whose answer is not complete. */
  readonly requests: number;
}

export interface Listener {
  /** Base URL. */
  readonly url: string;
  readonly port: number;
  readonly activity: () => Activity;
  /** Stops accepting, lets answers under way finish for up to `graceMs`, then cuts what is left. */
  close(graceMs: number): Promise<void>;
}

/** Bytes of a header section; more is refused with 431. */
const MAX_HEADER_BYTES = 32 * 1024;
/** For a whole header section to arrive, against those who send it a byte at a time. */
const HEADERS_TIMEOUT_MS = 15_000;
/** How often node:http looks for those who are late. */
const LATE_CHECK_MS = 5_000;
/** An idle connection lives longer than load balancers keep theirs. */
const KEEP_ALIVE_TIMEOUT_MS = 75_000;

/** A connection on which nothing moves, in the middle of a message too, is cut after so long. */
const STALLED_MS = 120_000;
/** While draining, how often connections that have become idle are closed. */
const SWEEP_MS = 100;

/**
 * HTTP/1.1 by node:http.
 * @throws CanopyError `conflict` where the port is taken
 */
export async function listen(options: ListenerOptions): Promise<Listener> {
  const { maxTunnels = MAX_TUNNELS } = options;
  let draining = false;
  let connections = 0;
  let accepted = 0;
  let requests = 0;
  /** Connections that node:http has let go of. */
  const detached = new Set<Duplex>();
  const serve = (exchange: Exchange, outgoing: ServerResponse): void => {
    if (draining) outgoing.shouldKeepAlive = false;
    requests++;
    options.handle(exchange).then(ended, (error: unknown) => {
      ended();
      options.onError(error);
      fail(outgoing);
    });
  };
  const ended = (): void => void requests--;
  const server = createServer(
    {
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: HEADERS_TIMEOUT_MS,
      connectionsCheckingInterval: LATE_CHECK_MS,
      keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
      // Uploads may take as long as they keep moving.
      requestTimeout: 0,
      // Refused by readRequest, with an answer that says why.
      requireHostHeader: false,
      shouldUpgradeCallback: isUpgrade,
    },
    (incoming, outgoing) => serve(new HttpExchange(incoming, outgoing), outgoing),
  );
  server.on('connection', (connection) => {
    connections++;
    accepted++;
    connection.once('close', () => connections--);
  });
  server.on('checkContinue', (incoming, outgoing) =>
    serve(new HttpExchange(incoming, outgoing, { awaitsContinue: true }), outgoing),
  );
  server.on('checkExpectation', (incoming, outgoing) =>
    serve(new HttpExchange(incoming, outgoing), outgoing),
  );
  const onDetached = (incoming: IncomingMessage, connection: Duplex, head: Buffer): void => {
    const { exchange, outgoing } = detachedExchange(incoming, connection, head);
    if (detached.size >= maxTunnels) {
      const error = new CanopyError(
        'unavailable',
        `${maxTunnels} connections are upgraded already`,
      );
      const { status, fields, body } = problemOf(error);
      outgoing.writeHead(status, fields as string[]).end(body);
      return;
    }
    detached.add(connection);
    connection.once('close', () => detached.delete(connection));
    serve(exchange, outgoing);
  };
  server.on('upgrade', onDetached);
  server.on('connect', onDetached);
  server.on('clientError', (error, connection) => refuseUnreadable(error, connection as Socket));
  server.setTimeout(STALLED_MS);
  await bind(server, options);
  const { port } = server.address() as AddressInfo;
  return {
    url: baseUrl(options.host, port),
    port,
    activity: () => ({ connections, accepted, tunnels: detached.size, requests }),
    close: async (graceMs) => {
      draining = true;
      const closed = new Promise<void>((resolve) => void server.close(() => resolve()));
      server.closeIdleConnections();
      const sweep = setInterval(() => server.closeIdleConnections(), SWEEP_MS);
      const cut = setTimeout(() => {
        server.closeAllConnections();
        for (const connection of detached) connection.destroy();
      }, graceMs);
      await closed;
      clearInterval(sweep);
      clearTimeout(cut);
    },
  };
}

/** @returns once `server` listens */
export function bind(
  server: NetServer,
  { host, port, reusePort = false }: Pick<ListenerOptions, 'host' | 'port' | 'reusePort'>,
): Promise<void> {
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

const baseUrl = (host: string, port: number): string =>
  `http://${host.includes(':') ? `[${host}]` : host}:${port}`;

function fail(outgoing: ServerResponse): void {
  if (outgoing.headersSent) outgoing.destroy();
  else outgoing.writeHead(500, { 'Content-Length': 0, Connection: 'close' }).end();
}
