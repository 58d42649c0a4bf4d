import type { IncomingMessage, ServerResponse } from 'node:http';
import { endToEndFields, type Fields, hasField, withoutFields } from '#core/http/fields.ts';
import type { Duplex } from 'node:stream';
import type { ExplainAsked, Explained } from '#core/contract/explain.ts';
import type { ReceivedRequest } from '#core/http/request.ts';
import type { Samples } from '#core/telemetry/samples.ts';
import { isTierField } from '#core/tree/tier-fields.ts';
import type { Tunnel } from '#core/tree/tunnel.ts';
import { type ContentPace, limitedContent } from './clients/content-pace.ts';
import type { Lane } from './lane.ts';
import { lingers } from './linger.ts';
import { refuseRest } from './unreadable.ts';
import { sendPaced } from './paced.ts';
import { verifiedBy } from './tls/client-certificates.ts';
import { tlsVersionOf } from './tls/handshakes.ts';

/** One request and the way to answer it, whatever protocol it came by. */
export interface Exchange {
  readonly received: ReceivedRequest;
  /** The address of whoever holds the other end of the connection. */
  readonly peerAddress: string;
  /** The authorities (PEM) that the client's certificate was verified by, if it has proved itself. */
  readonly verifiedBy: string | undefined;
  /** `TLSv1.3`; `undefined`: the connection is not over TLS. */
  readonly tlsVersion: string | undefined;
  /**
   * The request's content, to be read at most once. A client that waits to be asked for it
   * (RFC 9110 §10.1.1) is asked when the reading begins.
   */
  readonly content: AsyncIterable<Buffer>;
  /** Has `content` end with `content-too-large` beyond so many bytes; to be said before it is read. */
  limitContent(maxBytes: number): void;
  /** Aborted when the client has gone before the answer was complete. */
  readonly signal: AbortSignal;
  /** Passes on a 1xx answer, if the client knows such and the final answer has not begun. */
  inform(status: number, fields: Fields): void;
  /** Sends the answer. Content that fails cuts the connection, so that it is not taken for complete. */
  respond(
    status: number,
    fields: Fields,
    content: readonly Buffer[] | AsyncIterable<Buffer>,
  ): Promise<Sent>;
  /** Answers 101 and joins the client to the tunnel; only where `received.upgrade` is set. */
  switchProtocols(fields: Fields, tunnel: Tunnel): Promise<Sent>;
}

/** Answers one request. */
export type Handle = (exchange: Exchange) => Promise<void>;

/** What a tier is in one thread of a node. */
export interface Serving {
  readonly handle: Handle;
  /** What would be answered to a request, and why; changes nothing. */
  readonly explain: (asked: ExplainAsked) => Promise<Explained>;
  /** What answers some requests before they are an exchange. */
  readonly lane?: Lane;
  /** Adds what the tier counts besides the node. */
  sample?(samples: Samples): void;
  /** Ends what the tier keeps besides the node. */
  close?(): Promise<void>;
}

export interface Sent {
  /** Bytes of content handed to the connection. */
  readonly bytes: number;
  /** `aborted`: the client left; `broken`: the content failed, and the connection was cut. */
  readonly end: 'complete' | 'aborted' | 'broken';
}

/** 1xx answers passed on per request; an origin that sends more is not listened to. */
export const MAX_INTERIM = 16;

/** An exchange over node:http. */
export class HttpExchange implements Exchange {
  readonly received: ReceivedRequest;
  readonly #incoming: IncomingMessage;
  readonly #outgoing: ServerResponse;
  /** The connection, where it may leave HTTP. */
  readonly #switchable: Duplex | undefined;
  #aborted: AbortController | undefined;
  #interim = 0;
  #awaitsContinue: boolean;
  readonly #pace: ContentPace | undefined;
  #maxContentBytes = Infinity;

  /** @param how.upgrade what the client would switch to, and the connection that would */
  constructor(
    incoming: IncomingMessage,
    outgoing: ServerResponse,
    how: {
      readonly awaitsContinue?: boolean;
      readonly upgrade?: { to: string; on: Duplex };
      readonly pace?: ContentPace;
    } = {},
  ) {
    this.#incoming = incoming;
    this.#outgoing = outgoing;
    this.#pace = how.pace;
    this.#switchable = how.upgrade?.on;
    this.#awaitsContinue = how.awaitsContinue === true;
    this.received = {
      method: incoming.method ?? '',
      target: incoming.url ?? '',
      fields: incoming.rawHeaders,
      encrypted: 'encrypted' in incoming.socket,
      // A request line may say HTTP/2.0, which this is not: node:http reads it all the same.
      httpVersion: incoming.httpVersionMajor === 1 ? incoming.httpVersion : '0.9',
      upgrade: how.upgrade?.to,
    };
  }

  get peerAddress(): string {
    return this.#incoming.socket.remoteAddress ?? '';
  }

  get verifiedBy(): string | undefined {
    return verifiedBy(this.#incoming.socket);
  }

  get tlsVersion(): string | undefined {
    return tlsVersionOf(this.#incoming.socket);
  }

  get content(): AsyncIterable<Buffer> {
    const content = this.#read();
    return this.#pace === undefined
      ? content
      : limitedContent(content, this.#pace, this.#maxContentBytes);
  }

  limitContent(maxBytes: number): void {
    this.#maxContentBytes = maxBytes;
  }

  // Made when asked for: a hit needs none.
  get signal(): AbortSignal {
    if (this.#aborted === undefined) {
      const controller = new AbortController();
      const outgoing = this.#outgoing;
      this.#aborted = controller;
      outgoing.once('close', () => {
        if (!outgoing.writableFinished) controller.abort(new ClientGone());
      });
      if (outgoing.destroyed) controller.abort(new ClientGone());
    }
    return this.#aborted.signal;
  }

  inform(status: number, fields: Fields): void {
    const outgoing = this.#outgoing;
    // RFC 9110 §15.2: HTTP/1.0 defines no 1xx.
    if (this.#incoming.httpVersion === '1.0' || outgoing.headersSent || outgoing.destroyed) return;
    // Node before 26.2 has no way to say it.
    if (!('writeInformation' in outgoing) || this.#interim++ >= MAX_INTERIM) return;
    const kept = withoutFields(
      endToEndFields(fields),
      // RFC 9110 §8.6: no length where there is no content.
      (name) => isTierField(name) || name === 'content-length',
    );
    outgoing.writeInformation(status, kept);
  }

  async respond(
    status: number,
    fields: Fields,
    content: readonly Buffer[] | AsyncIterable<Buffer>,
  ): Promise<Sent> {
    const outgoing = this.#outgoing;
    if (outgoing.destroyed) {
      if (!isHeld(content)) await content[Symbol.asyncIterator]().return?.();
      return { bytes: 0, end: 'aborted' };
    }
    if (!this.#incoming.complete && announcesContent(this.#incoming)) this.#answerEarly();
    if (status >= 400 && hasField(fields, 'connection')) refuseRest(this.#incoming.socket);
    // Whatever Date the origin gave is passed on; none is made up by node:http.
    outgoing.sendDate = false;
    outgoing.writeHead(status, fields as string[]);
    if (isHeld(content) && content.length <= UNPACED_CHUNKS) {
      let bytes = 0;
      for (const [index, chunk] of content.entries()) {
        bytes += chunk.length;
        if (index === content.length - 1) outgoing.end(chunk);
        else outgoing.write(chunk);
      }
      if (content.length === 0) outgoing.end();
      return { bytes, end: 'complete' };
    }
    // The header section must not wait for the first byte of content; flushHeaders() would send
    // octets beyond ASCII in UTF-8.
    outgoing.write(NOTHING);
    // A plain close would end an answer without framing as if it were whole.
    return sendPaced(outgoing, content, (error) => {
      outgoing.socket?.resetAndDestroy();
      outgoing.destroy(error);
    });
  }

  async switchProtocols(fields: Fields, tunnel: Tunnel): Promise<Sent> {
    const client = this.#switchable;
    if (client === undefined || client.destroyed || this.#outgoing.destroyed) {
      tunnel.discard();
      return { bytes: 0, end: 'aborted' };
    }
    this.#outgoing.detachSocket(this.#incoming.socket);
    client.write(switchingHead(fields), 'latin1');
    return tunnel.join(client);
  }

  async *#read(): AsyncGenerator<Buffer, void, undefined> {
    if (this.#awaitsContinue && !this.#outgoing.headersSent) {
      this.#awaitsContinue = false;
      this.#outgoing.writeContinue();
    }
    try {
      // Whoever stops reading has an answer, which the connection must live to carry.
      yield* this.#incoming.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
    } finally {
      if (this.#outgoing.writableFinished) this.#incoming.resume();
    }
  }

  /**
   * An answer before the content's end ends the connection: nobody can tell whether the client
   * sends the rest or stops (RFC 9110 §10.1.1).
   */
  #answerEarly(): void {
    const [incoming, outgoing] = [this.#incoming, this.#outgoing];
    outgoing.shouldKeepAlive = false;
    lingers(incoming.socket);
    outgoing.once('finish', () => incoming.resume());
  }
}

export class ClientGone extends Error {
  override readonly name = 'ClientGone';
  override readonly message = 'The client has closed the connection';
}

const announcesContent = ({ headers }: IncomingMessage): boolean =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;

function switchingHead(fields: Fields): string {
  let head = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n';
  for (let i = 0; i < fields.length; i += 2) head += `${fields[i]}: ${fields[i + 1]}\r\n`;
  return `${head}\r\n`;
}

const NOTHING = Buffer.alloc(0);

/** Chunks beyond which even content in memory is paced by the client. */
export const UNPACED_CHUNKS = 16;

export const isHeld = (
  content: readonly Buffer[] | AsyncIterable<Buffer>,
): content is readonly Buffer[] => Array.isArray(content);
