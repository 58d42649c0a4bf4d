import {
  constants,
  createServer,
  type Http2Server,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { systemClock } from '#core/clock.ts';
import { TokenBucket } from '#core/token-bucket.ts';
import type { Http1Options } from '../http1.ts';
import type { Activity, Service } from '../service.ts';
import { verifiedBy } from '../tls/client-certificates.ts';
import { tlsVersionOf } from '../tls/handshakes.ts';
import { type ConnectionFacts, Http2Exchange } from './exchange.ts';
import { receivedOf } from './received.ts';

/** Requests of one connection that are under way at once. */
const MAX_STREAMS = 128;
/** Bytes of a header section, unpacked; more ends the stream. */
const MAX_HEADER_BYTES = 32 * 1024;
/** Field lines, pseudo-header fields among them; more ends the stream. */
const MAX_FIELD_LINES = 260;
/** Bytes of a body that may come before anybody has asked for them. */
const WINDOW_BYTES = 256 * 1024;
/** Megabytes that a connection may take up; beyond it streams are refused. */
const MAX_SESSION_MEGABYTES = 10;
/** Requests that a client may take back, at once and per second: browsers do when a page is left. */
const RESETS = { burst: 256, perSecond: 33 };
/** Mistakes of a client before it is sent away. */
const MAX_MISTAKES = 100;
/** An idle connection lives as long as one of HTTP/1.1. */
const IDLE_MS = 75_000;
/** A client that takes nothing of an answer for so long does not get the rest. */
const STALLED_MS = 120_000;
const LOOK_MS = 1_000;
/** What a client may send besides requests and their content: settings, pings, windows, priorities. */
const CONTROL_BYTES = { perSecond: 64 * 1024, burst: 512 * 1024 };
/** Of what was received, what one request accounts for. */
const REQUEST_BYTES = 4 * 1024;

/** Of what is sent: clients open their windows as they take it. */
const WINDOW_PART = 1 / 128;

type Http2Options = Pick<Http1Options, 'handle' | 'onError'>;

interface Connection {
  readonly session: ServerHttp2Session;
  readonly facts: ConnectionFacts;
  /** What of the bytes received is not accounted for. */
  readonly control: TokenBucket;
  receivedBytes: number;
  sentBytes: number;
  /** Since the last look. */
  requests: number;
  contentBytes: number;
  /** Requests whose stream is not closed. */
  open: number;
}

/** HTTP/2 by node:http2, on connections whose TLS is done. */
export class Http2Service implements Service {
  readonly #options: Http2Options;
  readonly #server: Http2Server;
  readonly #connections = new Set<Connection>();
  readonly #looking: NodeJS.Timeout;
  /** What the next session is on: the session's own `socket` only stands for it. */
  #adopted: TLSSocket | undefined;
  #accepted = 0;
  #requests = 0;

  constructor(options: Http2Options) {
    this.#options = options;
    this.#server = createServer({
      maxHeaderListPairs: MAX_FIELD_LINES,
      maxSessionMemory: MAX_SESSION_MEGABYTES,
      maxSessionInvalidFrames: MAX_MISTAKES,
      maxSessionRejectedStreams: MAX_MISTAKES,
      streamResetBurst: RESETS.burst,
      streamResetRate: RESETS.perSecond,
      // Fields of origins go on as they are.
      strictSingleValueFields: false,
      settings: {
        maxConcurrentStreams: MAX_STREAMS,
        maxHeaderListSize: MAX_HEADER_BYTES,
        initialWindowSize: WINDOW_BYTES,
        enablePush: false,
      },
    });
    this.#server.on('session', (session) => this.#begin(session));
    this.#server.on('sessionError', () => undefined);
    this.#looking = setInterval(() => this.#look(), LOOK_MS).unref();
  }

  adopt(connection: Duplex): void {
    this.#adopted = connection as TLSSocket;
    // The session begins within.
    this.#server.emit('connection', connection);
  }

  activity(): Activity {
    return {
      connections: this.#connections.size,
      accepted: this.#accepted,
      tunnels: 0,
      requests: this.#requests,
    };
  }

  /** Clients are told which requests are still answered (RFC 9113 §6.8). */
  drain(): void {
    clearInterval(this.#looking);
    for (const { session } of this.#connections) if (!session.closed) session.close();
  }

  cut(): void {
    for (const { session } of this.#connections) session.destroy();
  }

  #begin(session: ServerHttp2Session): void {
    const socket = this.#adopted ?? session.socket;
    const connection: Connection = {
      session,
      facts: {
        peerAddress: socket.remoteAddress ?? '',
        verifiedBy: verifiedBy(socket),
        tlsVersion: tlsVersionOf(socket),
        onContent: (bytes) => void (connection.contentBytes += bytes),
      },
      control: new TokenBucket(systemClock, CONTROL_BYTES),
      receivedBytes: 0,
      sentBytes: 0,
      requests: 0,
      contentBytes: 0,
      open: 0,
    };
    this.#accepted++;
    this.#connections.add(connection);
    session.on('error', () => undefined);
    session.once('close', () => this.#connections.delete(connection));
    session.setTimeout(IDLE_MS, () => {
      if (connection.open === 0) session.close();
    });
    session.on('stream', (stream, _headers, flags, raw) => {
      this.#serve(connection, stream, flags, raw);
    });
  }

  #serve(
    connection: Connection,
    stream: ServerHttp2Stream,
    flags: number,
    raw: readonly string[],
  ): void {
    connection.requests++;
    connection.open++;
    this.#requests++;
    stream.on('error', () => undefined);
    stream.setTimeout(STALLED_MS, () => stream.destroy(new Error('The client takes nothing')));
    stream.once('close', () => connection.open--);
    const ended = (): void => void this.#requests--;
    const exchange = new Http2Exchange(stream, receivedOf(raw, flags), connection.facts);
    this.#options.handle(exchange).then(ended, (error: unknown) => {
      ended();
      this.#options.onError(error);
      // With an error, so that the stream is reset and does not look whole.
      stream.destroy(new Error('The request failed'));
    });
  }

  /** Sends away who sends much that asks for nothing: floods of settings, pings and the like. */
  #look(): void {
    for (const connection of this.#connections) {
      const { session, control } = connection;
      if (session.destroyed) continue;
      const { bytesRead, bytesWritten } = session.socket;
      const accounted =
        connection.requests * REQUEST_BYTES +
        connection.contentBytes +
        (bytesWritten - connection.sentBytes) * WINDOW_PART;
      const unaccounted = bytesRead - connection.receivedBytes - accounted;
      connection.receivedBytes = bytesRead;
      connection.sentBytes = bytesWritten;
      connection.requests = 0;
      connection.contentBytes = 0;
      if (unaccounted <= 0 || control.take(unaccounted, CONTROL_BYTES) === 0) continue;
      session.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM);
      session.destroy();
    }
  }
}
