import { type OutgoingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { CanopyError } from '#core/errors.ts';
import { endToEndFields, type Fields } from '#core/http/fields.ts';
import type { ReceivedRequest } from '#core/http/request.ts';
import { isTierField } from '#core/tree/tier-fields.ts';
import type { Tunnel } from '#core/tree/tunnel.ts';
import { type ContentPace, limitedContent } from '../clients/content-pace.ts';
import { problemOf } from '../problem.ts';
import {
  ClientGone,
  type Exchange,
  isHeld,
  MAX_INTERIM,
  type Sent,
  UNPACED_CHUNKS,
} from '../exchange.ts';
import { isAccepted } from './websocket.ts';
import { sendPaced } from '../paced.ts';

/** What is the same for all requests of a connection. */
export interface ConnectionFacts {
  readonly peerAddress: string;
  readonly verifiedBy: string | undefined;
  readonly tlsVersion: string | undefined;
  /** Called with the bytes of requests' content that are read. */
  readonly onContent: (bytes: number) => void;
  readonly pace: ContentPace;
}

/** An exchange on a stream of HTTP/2. */
export class Http2Exchange implements Exchange {
  readonly received: ReceivedRequest;
  readonly #stream: ServerHttp2Stream;
  readonly #facts: ConnectionFacts;
  #aborted: AbortController | undefined;
  #interim = 0;
  #awaitsContinue: boolean;
  #maxContentBytes = Infinity;

  constructor(stream: ServerHttp2Stream, received: ReceivedRequest, facts: ConnectionFacts) {
    this.#stream = stream;
    this.received = received;
    this.#facts = facts;
    this.#awaitsContinue = received.fields.includes('100-continue');
  }

  get peerAddress(): string {
    return this.#facts.peerAddress;
  }

  get verifiedBy(): string | undefined {
    return this.#facts.verifiedBy;
  }

  get tlsVersion(): string | undefined {
    return this.#facts.tlsVersion;
  }

  get content(): AsyncIterable<Buffer> {
    return limitedContent(this.#read(), this.#facts.pace, this.#maxContentBytes);
  }

  limitContent(maxBytes: number): void {
    this.#maxContentBytes = maxBytes;
  }

  get signal(): AbortSignal {
    if (this.#aborted === undefined) {
      const controller = new AbortController();
      const stream = this.#stream;
      this.#aborted = controller;
      stream.once('close', () => {
        if (!stream.writableFinished) controller.abort(new ClientGone());
      });
      if (stream.destroyed) controller.abort(new ClientGone());
    }
    return this.#aborted.signal;
  }

  inform(status: number, fields: Fields): void {
    const stream = this.#stream;
    // RFC 9113 §8.6: there is no 101.
    if (status === 101 || stream.headersSent || stream.destroyed) return;
    if (this.#interim++ >= MAX_INTERIM) return;
    stream.additionalHeaders(headersOf(status, endToEndFields(fields), isDropped));
  }

  async respond(
    status: number,
    fields: Fields,
    content: readonly Buffer[] | AsyncIterable<Buffer>,
  ): Promise<Sent> {
    const stream = this.#stream;
    if (stream.destroyed) {
      if (!isHeld(content)) await content[Symbol.asyncIterator]().return?.();
      return { bytes: 0, end: 'aborted' };
    }
    const endStream = isHeld(content) && content.length === 0;
    // RFC 9113 §8.1: who sends more than is wanted is told to stop, without harm to the answer.
    if (this.received.hasContent === true && !stream.readableEnded) {
      stream.once('finish', () => void (stream.readableEnded || stream.close()));
    }
    // Whatever Date the origin gave is passed on.
    stream.respond(headersOf(status, fields), { endStream, sendDate: false } as object);
    if (endStream) return { bytes: 0, end: 'complete' };
    if (isHeld(content) && content.length <= UNPACED_CHUNKS) {
      let bytes = 0;
      for (const [index, chunk] of content.entries()) {
        bytes += chunk.length;
        if (index === content.length - 1) stream.end(chunk);
        else stream.write(chunk);
      }
      return { bytes, end: 'complete' };
    }
    return sendPaced(stream, content, (error) => stream.destroy(error));
  }

  async switchProtocols(fields: Fields, tunnel: Tunnel): Promise<Sent> {
    const stream = this.#stream;
    if (stream.destroyed) {
      tunnel.discard();
      return { bytes: 0, end: 'aborted' };
    }
    if (!isAccepted(this.received.fields, fields)) {
      tunnel.discard();
      const failed = problemOf(
        new CanopyError('upstream-invalid', 'The handshake is not answered'),
      );
      return this.respond(failed.status, failed.fields, [failed.body]);
    }
    // The tunnel has a limit of its own.
    stream.setTimeout(0);
    stream.on('data', (chunk: Buffer) => this.#facts.onContent(chunk.length));
    // RFC 8441 §5.1: the key and its answer are between us and the parent.
    const headers = headersOf(200, fields, (name) => name === 'sec-websocket-accept');
    stream.respond(headers, { sendDate: false } as object);
    return tunnel.join(stream);
  }

  async *#read(): AsyncGenerator<Buffer, void, undefined> {
    const stream = this.#stream;
    if (this.#awaitsContinue && !stream.headersSent && !stream.destroyed) {
      this.#awaitsContinue = false;
      stream.additionalHeaders({ ':status': 100 });
    }
    // Whoever stops reading has an answer, which the stream must live to carry.
    for await (const chunk of stream.iterator({
      destroyOnReturn: false,
    }) as AsyncIterable<Buffer>) {
      this.#facts.onContent(chunk.length);
      yield chunk;
    }
  }
}

/** RFC 9110 §8.6: no length where there is no content. */
const isDropped = (name: string): boolean => isTierField(name) || name === 'content-length';

/** RFC 9113 §8.2.2: what concerns the connection has no place in HTTP/2. */
const OF_CONNECTION: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
  'host',
]);

function headersOf(
  status: number,
  fields: Fields,
  drop: (name: string) => boolean = () => false,
): OutgoingHttpHeaders {
  const headers: Record<string, string | string[] | number> = { ':status': status };
  for (let i = 0; i < fields.length; i += 2) {
    const name = (fields[i] ?? '').toLowerCase();
    const value = fields[i + 1] ?? '';
    if (OF_CONNECTION.has(name) || drop(name)) continue;
    const present = headers[name];
    if (present === undefined) headers[name] = value;
    else if (Array.isArray(present)) present.push(value);
    else headers[name] = [String(present), value];
  }
  return headers;
}
