import { type ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { CanopyError, type ErrorCode, messageOf } from '#core/errors.ts';
import { lingers } from './linger.ts';
import { problemOf } from './problem.ts';

/** What node:http keeps of the answer whose turn it is on a connection. */
type Connection = Socket & { readonly _httpMessage?: ServerResponse | null };

const REFUSED = new WeakSet<Socket>();

/** Told of an answer to what was no request. @param bytes of its content */
export type OnUnreadable = (error: CanopyError, socket: Socket, bytes: number) => void;

/**
 * Answers what node:http could not read as a request ('clientError'), and closes the connection.
 * Answers to requests before it on the connection come first.
 */
export function refuseUnreadable(
  error: NodeJS.ErrnoException,
  socket: Socket,
  onUnreadable?: OnUnreadable,
): void {
  // The parser complains again of every piece that still comes.
  if (REFUSED.has(socket)) return;
  if (!socket.writable || error.code === 'ECONNRESET' || error.code === 'EPIPE') {
    socket.destroy();
    return;
  }
  REFUSED.add(socket);
  const refusal = new CanopyError(codeOf(error), messageOf(error), { cause: error });
  refuseInTurn(refusal, socket, onUnreadable);
}

function refuseInTurn(error: CanopyError, socket: Connection, onUnreadable?: OnUnreadable): void {
  const current = socket._httpMessage;
  if (current === undefined || current === null) {
    end(error, socket, onUnreadable);
  } else if (current.req.complete) {
    current.once('close', () => refuseInTurn(error, socket, onUnreadable));
  } else if (current.headersSent) {
    // The answer under way belongs to the very message that has turned out broken.
    socket.destroy();
  } else {
    const unread = current.req;
    end(error, socket, onUnreadable, () => unread.destroy());
  }
}

function end(
  error: CanopyError,
  socket: Socket,
  onUnreadable: OnUnreadable | undefined,
  then?: () => void,
): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const { status, fields, body } = problemOf(error);
  let head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n`;
  for (let i = 0; i < fields.length; i += 2) head += `${fields[i]}: ${fields[i + 1]}\r\n`;
  lingers(socket);
  socket.write(`${head}Connection: close\r\n\r\n${body.toString('latin1')}`, 'latin1', then);
  socket.destroySoon();
  onUnreadable?.(error, socket, body.length);
}

function codeOf({ code, ...error }: NodeJS.ErrnoException & { rawPacket?: Buffer }): ErrorCode {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return 'request-timeout';
  if (code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW') return 'content-too-large';
  if (code !== 'HPE_HEADER_OVERFLOW') return 'invalid-request';
  // A request line without an end is a target too long, RFC 9112 §3.
  const packet = error.rawPacket?.toString('latin1') ?? '';
  return /^[A-Z]+ \S*$/.test(packet) ? 'uri-too-long' : 'header-too-large';
}
