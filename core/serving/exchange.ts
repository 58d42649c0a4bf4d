import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Fields } from '#core/http/fields.ts';
import type { ReceivedRequest } from '#core/http/request.ts';

/** One request and the way to answer it, whatever protocol it came by. */
export interface Exchange {
  readonly received: ReceivedRequest;
  /** The address of whoever holds the other end of the connection. */
  readonly peerAddress: string;
  /** The request's content, to be read at most once. */
  readonly content: AsyncIterable<Buffer>;
  /** Aborted when the client has gone before the answer was complete. */
  readonly signal: AbortSignal;
  /** Sends the answer. Content that fails cuts the connection, so that it is not taken for complete. */
  respond(
    status: number,
    fields: Fields,
    content: readonly Buffer[] | AsyncIterable<Buffer>,
  ): Promise<Sent>;
}

export interface Sent {
  /** Bytes of content handed to the connection. */
  readonly bytes: number;
  /** `aborted`: the client left; `broken`: the content failed, and the connection was cut. */
  readonly end: 'complete' | 'aborted' | 'broken';
}

/** An exchange over node:http, or node:http2 by its compatible API. */
export function exchangeOf(incoming: IncomingMessage, outgoing: ServerResponse): Exchange {
  let aborted: AbortController | undefined;
  return {
    received: {
      method: incoming.method ?? '',
      target: incoming.url ?? '',
      fields: incoming.rawHeaders,
      encrypted: 'encrypted' in incoming.socket,
    },
    peerAddress: incoming.socket.remoteAddress ?? '',
    content: incoming,
    // Made when asked for: a hit needs none.
    get signal() {
      if (aborted === undefined) {
        const controller = new AbortController();
        aborted = controller;
        outgoing.once('close', () => {
          if (!outgoing.writableFinished) controller.abort(new ClientGone());
        });
        if (outgoing.destroyed) controller.abort(new ClientGone());
      }
      return aborted.signal;
    },
    respond: (status, fields, content) => respond(outgoing, status, fields, content),
  };
}

export class ClientGone extends Error {
  override readonly name = 'ClientGone';
  override readonly message = 'The client has closed the connection';
}

/** Chunks beyond which even content in memory is paced by the client. */
const UNPACED_CHUNKS = 16;

async function respond(
  outgoing: ServerResponse,
  status: number,
  fields: Fields,
  content: readonly Buffer[] | AsyncIterable<Buffer>,
): Promise<Sent> {
  if (outgoing.destroyed) {
    if (!isHeld(content)) await content[Symbol.asyncIterator]().return?.();
    return { bytes: 0, end: 'aborted' };
  }
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
  return stream(outgoing, content);
}

const isHeld = (content: readonly Buffer[] | AsyncIterable<Buffer>): content is readonly Buffer[] =>
  Array.isArray(content);

async function stream(
  outgoing: ServerResponse,
  content: readonly Buffer[] | AsyncIterable<Buffer>,
): Promise<Sent> {
  let bytes = 0;
  let broken = false;
  const arriving = isHeld(content) ? undefined : content[Symbol.asyncIterator]();
  // While the content stalls, the generator below would not hear of a client that leaves.
  outgoing.once('close', () => void arriving?.return?.());
  const source = arriving === undefined ? content : { [Symbol.asyncIterator]: () => arriving };
  async function* counted(): AsyncGenerator<Buffer, void, undefined> {
    try {
      for await (const chunk of source) {
        bytes += chunk.length;
        yield chunk;
      }
    } catch (error) {
      // A client that leaves is thrown in here as well.
      broken = !outgoing.destroyed;
      throw error;
    }
  }
  // The header section must not wait for the first byte of content.
  outgoing.flushHeaders();
  try {
    await pipeline(Readable.from(counted(), { objectMode: true, highWaterMark: 1 }), outgoing);
    return { bytes, end: 'complete' };
  } catch {
    return { bytes, end: broken ? 'broken' : 'aborted' };
  }
}
