import { createHash } from 'node:crypto';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import {
  createServer as createTlsServer,
  type SecureContext,
  type Server,
  type TLSSocket,
} from 'node:tls';
import type { Clock } from '#core/clock.ts';
import { Http1Service, type Http1Options } from '../http1.ts';
import { Http2Service } from '../http2/service.ts';
import { baseUrl, bind, drain, type Listener, type Place } from '../listener.ts';
import { type Service, sumOf } from '../service.ts';
import { noteClient } from './client-certificates.ts';
import { MAX_HELLO_BYTES, serverNameOf } from './client-hello.ts';
import type { TlsContexts } from './contexts.ts';
import type { Handshakes } from './handshakes.ts';
import { PROTOCOLS, SESSION_ID_CONTEXT, ticketKeysFor, TLS_SETTINGS } from './settings.ts';

/** For a whole handshake. */
const HANDSHAKE_TIMEOUT_MS = 10_000;
/** Connections that have not named a host yet, while sites ask for certificates of clients. */
const MAX_UNNAMED = 10_000;

/** Those whom a site asks its clients to be certified by. */
export interface ClientAuthorities {
  readonly site: string;
  /** PEM. */
  readonly authorities: string;
}

export interface TlsListenerOptions extends Place, Http1Options {
  readonly contexts: TlsContexts;
  readonly clock: Pick<Clock, 'now'>;
  readonly handshakes: Handshakes;
}

export interface TlsListener extends Listener {
  /** Has clients of some sites prove themselves. @param find by the host that a client names */
  askClients(find: ((host: string) => ClientAuthorities | undefined) | undefined): void;
}

/**
 * HTTP/1.1 and HTTP/2 over TLS.
 * @throws CanopyError `conflict` where the port is taken
 */
export async function listenTls(options: TlsListenerOptions): Promise<TlsListener> {
  const http1 = new Http1Service(options);
  const http2 = new Http2Service(options);
  const accepted = new Set<Socket>();
  const adopt = (socket: TLSSocket): void =>
    (socket.alpnProtocol === 'h2' ? http2 : http1).adopt(socket);
  const fronts = new Fronts(options, adopt);
  // Not the server of TLS itself: which one that is depends, for some sites, on what the client says first.
  const server = createServer({ noDelay: true }, (socket) => {
    accepted.add(socket);
    socket.once('close', () => accepted.delete(socket));
    fronts.receive(socket);
  });
  await bind(server, options);
  const { port } = server.address() as AddressInfo;
  const services = [http1, http2];
  const rest: Service = {
    adopt: () => undefined,
    activity: () => sumOf([]),
    drain: () => undefined,
    cut: () => {
      for (const socket of accepted) socket.destroy();
    },
  };
  return {
    url: baseUrl('https', options.host, port),
    port,
    activity: () => sumOf(services.map((service) => service.activity())),
    askClients: (find) => fronts.askClients(find),
    close: async (graceMs) => {
      await drain(server, [...services, rest], graceMs);
      fronts.close();
    },
  };
}

/** What begins TLS with a client: one for all, and one for each site that asks who its clients are. */
class Fronts {
  readonly #options: TlsListenerOptions;
  readonly #adopt: (socket: TLSSocket) => void;
  readonly #common: Front;
  readonly #ofSites = new Map<string, Front>();
  #find: ((host: string) => ClientAuthorities | undefined) | undefined;
  #unnamed = 0;

  constructor(options: TlsListenerOptions, adopt: (socket: TLSSocket) => void) {
    this.#options = options;
    this.#adopt = adopt;
    this.#common = new Front(options, adopt, undefined);
  }

  askClients(find: ((host: string) => ClientAuthorities | undefined) | undefined): void {
    this.#find = find;
    // Those whose site asks no more would be found by nobody.
    for (const front of this.#ofSites.values()) front.close();
    this.#ofSites.clear();
  }

  receive(socket: Socket): void {
    if (this.#find === undefined) this.#common.begin(socket);
    else if (this.#unnamed >= MAX_UNNAMED) socket.destroy();
    else this.#lookInto(socket);
  }

  close(): void {
    this.#common.close();
    for (const front of this.#ofSites.values()) front.close();
  }

  /** Reads as far as the client's name of the host, and puts back what it has read. */
  #lookInto(socket: Socket): void {
    this.#unnamed++;
    let read = Buffer.alloc(0);
    const end = (): void => {
      this.#unnamed--;
      socket.setTimeout(0);
      socket.off('readable', look).off('timeout', cut).off('error', cut).off('close', end);
    };
    const cut = (): void => void socket.destroy();
    const look = (): void => {
      const chunk = socket.read() as Buffer | null;
      if (chunk === null) return;
      read = Buffer.concat([read, chunk]);
      const host = serverNameOf(read);
      if (host === undefined && read.length <= MAX_HELLO_BYTES) return;
      end();
      socket.unshift(read);
      this.#frontFor(host ?? '').begin(socket);
    };
    socket.setTimeout(HANDSHAKE_TIMEOUT_MS);
    socket.on('readable', look).on('timeout', cut).on('error', cut).on('close', end);
  }

  #frontFor(host: string): Front {
    const asked = host === '' ? undefined : this.#find?.(host);
    if (asked === undefined) return this.#common;
    const present = this.#ofSites.get(asked.site);
    if (present !== undefined) return present;
    const front = new Front(this.#options, this.#adopt, asked);
    this.#ofSites.set(asked.site, front);
    return front;
  }
}

/** A server of TLS that is handed its connections. */
class Front {
  readonly #server: Server;
  readonly #stopWatching: () => void;

  constructor(
    { contexts, clock, handshakes, onError }: TlsListenerOptions,
    adopt: (socket: TLSSocket) => void,
    asked: ClientAuthorities | undefined,
  ) {
    const sessionContext = asked === undefined ? SESSION_ID_CONTEXT : sessionContextOf(asked);
    let hasDefault = false;
    const settings = { ...TLS_SETTINGS, sessionIdContext: sessionContext };
    const server = createTlsServer({
      ...settings,
      ALPNProtocols: PROTOCOLS,
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      ...(asked !== undefined && {
        requestCert: true,
        // Refused by an answer, which says why.
        rejectUnauthorized: false,
        ca: asked.authorities,
      }),
      SNICallback: (host, present) => {
        const found = contexts.find(host, asked?.authorities);
        const answer = (context: SecureContext | undefined): void =>
          // Without an error the client would get what is for those who name no host.
          context === undefined && hasDefault ? present(UNKNOWN_NAME) : present(null, context);
        if (found instanceof Promise) found.then(answer, present);
        else answer(found);
      },
    });
    this.#server = server;
    server.on('secureConnection', (socket) => {
      handshakes.done(socket);
      if (asked !== undefined) noteClient(socket, asked.authorities, clock.now());
      adopt(socket);
    });
    server.on('tlsClientError', (_error, socket) => {
      handshakes.failed++;
      socket.destroy();
    });
    server.on('OCSPRequest', (certificate, _issuer, answer) => {
      // There is none for a client that nothing is presented to.
      const staple = (certificate as Buffer | null) && contexts.staple(fingerprintOf(certificate));
      answer(null, staple ?? null);
    });
    server.on('error', onError);
    let ticketKeys: Buffer | undefined;
    const stops = [
      contexts.onSecret((secret) => {
        ticketKeys = ticketKeysFor(secret, sessionContext);
        server.setTicketKeys(ticketKeys);
      }),
      contexts.onDefault(({ chain, key }) => {
        hasDefault = true;
        server.setSecureContext({ ...settings, cert: chain, key });
        if (ticketKeys !== undefined) server.setTicketKeys(ticketKeys);
      }),
    ];
    this.#stopWatching = () => {
      for (const stop of stops) stop();
    };
  }

  begin(socket: Socket): void {
    this.#server.emit('connection', socket);
  }

  close(): void {
    this.#stopWatching();
  }
}

const UNKNOWN_NAME = new Error('No certificate covers the name');

const fingerprintOf = (certificate: Buffer): string =>
  createHash('sha256').update(certificate).digest('hex');

/** Who was certified by other authorities before does not resume; OpenSSL takes at most 32 bytes. */
const sessionContextOf = ({ site, authorities }: ClientAuthorities): string =>
  createHash('sha256').update(`${site}\n${authorities}`).digest('hex').slice(0, 32);
