import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { CanopyError } from '#core/errors.ts';
import { type Exchange, HttpExchange } from './exchange.ts';
import { problemOf } from './problem.ts';
import type { Lane } from './lane.ts';
import { LaneConnections } from './lane-connections.ts';
import type { Activity, Service } from './service.ts';
import { type OnUnreadable, refuseUnreadable } from './unreadable.ts';
import { detachedExchange, isUpgrade, MAX_TUNNELS } from './upgrade.ts';

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

export interface Http1Options {
  /** Connections that may have left HTTP at a time; beyond it upgrades are refused with 503. */
  readonly maxTunnels?: number;
  readonly handle: (exchange: Exchange) => Promise<void>;
  /** Called with what `handle` should have dealt with itself. */
  readonly onError: (error: unknown) => void;
  readonly onUnreadable?: OnUnreadable;
  /** What sees the bytes of connections first; left out: node:http. */
  readonly lane?: Lane | undefined;
}

/** HTTP/1.1 by node:http, on connections that its server accepts or is given. */
export class Http1Service implements Service {
  readonly server: Server;
  readonly #options: Http1Options;
  /** Connections that node:http has let go of. */
  readonly #detached = new Set<Duplex>();
  readonly #lanes: LaneConnections | undefined;
  #draining = false;
  #connections = 0;
  #accepted = 0;
  #requests = 0;

  constructor(options: Http1Options) {
    this.#options = options;
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
      (incoming, outgoing) => {
        const { socket } = incoming;
        // Then node:http is between two messages, if there is no other on the way.
        if (this.#lanes !== undefined) outgoing.once('close', () => this.#lanes?.answered(socket));
        this.#serve(new HttpExchange(incoming, outgoing), outgoing);
      },
    );
    this.server = server;
    server.on('connection', (connection) => {
      this.#connections++;
      this.#accepted++;
      connection.once('close', () => this.#connections--);
    });
    server.on('checkContinue', (incoming, outgoing) =>
      this.#serve(new HttpExchange(incoming, outgoing, { awaitsContinue: true }), outgoing),
    );
    server.on('checkExpectation', (incoming, outgoing) =>
      this.#serve(new HttpExchange(incoming, outgoing), outgoing),
    );
    const onDetached = (incoming: IncomingMessage, connection: Duplex, head: Buffer): void =>
      this.#detach(incoming, connection, head);
    server.on('upgrade', onDetached);
    server.on('connect', onDetached);
    const refuse = (error: Error, connection: Duplex): void =>
      refuseUnreadable(error, connection as Socket, options.onUnreadable);
    server.on('clientError', refuse);
    server.setTimeout(STALLED_MS);
    // Without it node:http does not look for those who are late: this server itself never listens.
    server.emit('listening');
    this.#lanes =
      options.lane &&
      new LaneConnections({
        lane: options.lane,
        headersTimeoutMs: HEADERS_TIMEOUT_MS,
        keepAliveMs: KEEP_ALIVE_TIMEOUT_MS,
        attach: (connection) => void server.emit('connection', connection),
        refuse,
      });
  }

  /** Serves a connection that somebody else has accepted. */
  adopt(connection: Socket): void {
    if (this.#lanes?.take(connection) === true) return;
    this.server.emit('connection', connection);
  }

  activity(): Activity {
    return {
      connections: this.#connections + (this.#lanes?.connections ?? 0),
      accepted: this.#accepted + (this.#lanes?.accepted ?? 0),
      tunnels: this.#detached.size,
      requests: this.#requests,
    };
  }

  drain(): void {
    const isFirst = !this.#draining;
    this.#draining = true;
    const closeIdle = (): void => {
      // Ends the looking, too.
      if (isFirst) this.server.close();
      this.server.closeIdleConnections();
    };
    if (this.#lanes === undefined) closeIdle();
    else this.#lanes.drain(closeIdle);
  }

  cut(): void {
    this.#lanes?.cut();
    this.server.closeAllConnections();
    for (const connection of this.#detached) connection.destroy();
  }

  #serve(exchange: Exchange, outgoing: ServerResponse): void {
    if (this.#draining) outgoing.shouldKeepAlive = false;
    this.#requests++;
    const ended = (): void => void this.#requests--;
    this.#options.handle(exchange).then(ended, (error: unknown) => {
      ended();
      this.#options.onError(error);
      fail(outgoing);
    });
  }

  #detach(incoming: IncomingMessage, connection: Duplex, head: Buffer): void {
    const { maxTunnels = MAX_TUNNELS } = this.#options;
    const { exchange, outgoing } = detachedExchange(incoming, connection, head);
    if (this.#detached.size >= maxTunnels) {
      const error = new CanopyError(
        'unavailable',
        `${maxTunnels} connections are upgraded already`,
      );
      const { status, fields, body } = problemOf(error);
      outgoing.writeHead(status, fields as string[]).end(body);
      return;
    }
    this.#detached.add(connection);
    connection.once('close', () => this.#detached.delete(connection));
    this.#serve(exchange, outgoing);
  }
}

function fail(outgoing: ServerResponse): void {
  if (outgoing.headersSent) outgoing.destroy();
  else outgoing.writeHead(500, { 'Content-Length': 0, Connection: 'close' }).end();
}
