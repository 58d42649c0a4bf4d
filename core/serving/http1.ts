import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type Clock, systemClock } from '#core/clock.ts';
import { type Client, Clients } from './clients/clients.ts';
import type { ContentPace } from './clients/content-pace.ts';
import { type Exchange, HttpExchange } from './exchange.ts';
import { problemOf } from './problem.ts';
import type { Lane } from './lane.ts';
import { LaneConnections } from './lane-connections.ts';
import type { Activity, Service } from './service.ts';
import { isRefused, type OnUnreadable, refuseRest, refuseUnreadable } from './unreadable.ts';
import { detachedExchange, isUpgrade } from './upgrade.ts';

/** Bytes of a header section; more is refused with 431. */
const MAX_HEADER_BYTES = 32 * 1024;
/** How often node:http looks for those who are late. */
const LATE_CHECK_MS = 5_000;

export interface Http1Options {
  readonly handle: (exchange: Exchange) => Promise<void>;
  /** Called with what `handle` should have dealt with itself. */
  readonly onError: (error: unknown) => void;
  readonly onUnreadable?: OnUnreadable;
  /** Those of the thread, over all its listeners; left out: nobody is counted. */
  readonly clients?: Clients | undefined;
  /** By which content of requests is timed; left out: the system's. */
  readonly clock?: Clock;
  /** What sees the bytes of connections first; left out: node:http. */
  readonly lane?: Lane | undefined;
}

/** HTTP/1.1 by node:http, on connections that its server accepts or is given. */
export class Http1Service implements Service {
  readonly server: Server;
  readonly #options: Http1Options;
  readonly #clients: Clients;
  readonly #pace: ContentPace;
  /** Whose the connections are, where requests are counted. */
  readonly #owners = new WeakMap<object, Client>();
  /** Connections that node:http has let go of. */
  readonly #detached = new Set<Duplex>();
  /** The last request whose `Upgrade` is passed over. */
  #notSwitched: IncomingMessage | undefined;
  readonly #lanes: LaneConnections | undefined;
  #draining = false;
  #connections = 0;
  #accepted = 0;
  #requests = 0;

  constructor(options: Http1Options) {
    this.#options = options;
    const { clients = new Clients(), clock = systemClock } = options;
    const { limits } = clients;
    this.#clients = clients;
    this.#pace = { ...limits, clock, onTooSlow: () => clients.gaveUp() };
    const server = createServer(
      {
        maxHeaderSize: MAX_HEADER_BYTES,
        headersTimeout: limits.headersTimeoutMs,
        connectionsCheckingInterval: Math.min(LATE_CHECK_MS, limits.headersTimeoutMs),
        keepAliveTimeout: limits.keepAliveMs,
        // Uploads may take as long as they keep moving.
        requestTimeout: 0,
        // Refused by readRequest, with an answer that says why.
        requireHostHeader: false,
        shouldUpgradeCallback: (incoming) => {
          if (isUpgrade(incoming)) return true;
          this.#notSwitched = incoming;
          return false;
        },
      },
      (incoming, outgoing) => {
        const { socket } = incoming;
        // Then node:http is between two messages, if there is no other on the way.
        if (this.#lanes !== undefined) outgoing.once('close', () => this.#lanes?.answered(socket));
        this.#receive(incoming, outgoing);
      },
    );
    this.server = server;
    server.on('connection', (connection) => {
      const owner = clients.of(connection);
      if (owner !== undefined) this.#owners.set(connection, owner);
      this.#connections++;
      this.#accepted++;
      connection.once('close', () => this.#connections--);
    });
    server.on('checkContinue', (incoming, outgoing) => this.#receive(incoming, outgoing, true));
    server.on('checkExpectation', (incoming, outgoing) => this.#receive(incoming, outgoing));
    const onDetached = (incoming: IncomingMessage, connection: Duplex, head: Buffer): void =>
      this.#detach(incoming, connection, head);
    server.on('upgrade', onDetached);
    server.on('connect', onDetached);
    const refuse = (error: Error, connection: Duplex): void =>
      refuseUnreadable(error, connection as Socket, options.onUnreadable);
    server.on('clientError', refuse);
    server.setTimeout(limits.stalledMs);
    // Without it node:http does not look for those who are late: this server itself never listens.
    server.emit('listening');
    this.#lanes =
      options.lane &&
      new LaneConnections({
        lane: options.lane,
        headersTimeoutMs: limits.headersTimeoutMs,
        keepAliveMs: limits.keepAliveMs,
        clock,
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

  #receive(incoming: IncomingMessage, outgoing: ServerResponse, awaitsContinue = false): void {
    if (isRefused(incoming.socket)) return;
    if (this.#notSwitched === incoming) {
      // node:http drops what it has read beyond the request: the next would be taken for that.
      outgoing.shouldKeepAlive = false;
      refuseRest(incoming.socket);
    }
    this.#serve(new HttpExchange(incoming, outgoing, { awaitsContinue, pace: this.#pace }), {
      connection: incoming.socket,
      outgoing,
    });
  }

  #serve(
    exchange: Exchange,
    { connection, outgoing }: { connection: object; outgoing: ServerResponse },
  ): void {
    if (this.#draining) outgoing.shouldKeepAlive = false;
    const owner = this.#owners.get(connection);
    const refusal = owner && this.#clients.begin(owner);
    if (refusal !== undefined) {
      const { status, fields, body } = problemOf(refusal);
      void exchange.respond(status, fields, [body]);
      return;
    }
    this.#requests++;
    const ended = (): void => {
      this.#requests--;
      if (owner !== undefined) this.#clients.end(owner);
    };
    this.#options.handle(exchange).then(ended, (error: unknown) => {
      ended();
      this.#options.onError(error);
      fail(outgoing);
    });
  }

  #detach(incoming: IncomingMessage, connection: Duplex, head: Buffer): void {
    const { exchange, outgoing } = detachedExchange(incoming, connection, head, this.#pace);
    const refusal = this.#clients.detach(connection);
    if (refusal !== undefined) {
      const { status, fields, body } = problemOf(refusal);
      outgoing.writeHead(status, fields as string[]).end(body);
      return;
    }
    this.#detached.add(connection);
    connection.once('close', () => this.#detached.delete(connection));
    this.#serve(exchange, { connection: incoming.socket, outgoing });
  }
}

function fail(outgoing: ServerResponse): void {
  if (outgoing.headersSent) outgoing.destroy();
  else outgoing.writeHead(500, { 'Content-Length': 0, Connection: 'close' }).end();
}
