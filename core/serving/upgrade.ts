import { type IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { listMembers } from '#core/http/fields.ts';
import type { ContentPace } from './clients/content-pace.ts';
import { HttpExchange } from './exchange.ts';
import { lingers } from './linger.ts';

/** HTTP itself is not switched to: the request is answered by the protocol it came in. */
const NOT_SWITCHED_TO: ReadonlySet<string> = new Set(['h2c', 'h2', 'http', 'tls']);

/** The protocols of `Upgrade` that a parent may be asked for. */
function wantedProtocols({ headers }: IncomingMessage): string {
  return listMembers(headers.upgrade)
    .filter((protocol) => !NOT_SWITCHED_TO.has(protocol.replace(/\/.*$/, '')))
    .join(', ');
}

/**
 * Whether a request's `Upgrade` is passed on. An HTTP/1.0 client's is to be ignored (RFC 9110
 * §7.8); one with content, or behind a request not answered yet, could only be answered out of turn.
 */
export function isUpgrade(incoming: IncomingMessage): boolean {
  const { headers, httpVersion, method, socket } = incoming;
  const answering = (socket as typeof socket & { _httpMessage?: ServerResponse | null })
    ._httpMessage;
  return (
    method === 'GET' &&
    httpVersion === '1.1' &&
    headers['transfer-encoding'] === undefined &&
    Number(headers['content-length'] ?? 0) === 0 &&
    (answering === undefined || answering === null) &&
    wantedProtocols(incoming) !== ''
  );
}

/** The exchange of a request with which node:http has let go of the connection: Upgrade or CONNECT. */
export function detachedExchange(
  incoming: IncomingMessage,
  connection: Duplex,
  head: Buffer,
  pace: ContentPace,
): { readonly exchange: HttpExchange; readonly outgoing: ServerResponse } {
  const { socket } = incoming;
  socket.setTimeout(0);
  connection.on('error', () => undefined);
  if (head.length > 0) connection.unshift(head);
  const outgoing = new ServerResponse(incoming);
  outgoing.shouldKeepAlive = false;
  outgoing.assignSocket(socket);
  lingers(socket);
  // What node:http does for connections that it keeps.
  const onDrain = (): void => void outgoing.emit('drain');
  socket.on('drain', onDrain);
  outgoing.once('finish', () => {
    socket.off('drain', onDrain);
    outgoing.detachSocket(socket);
    socket.destroySoon();
    socket.resume();
  });
  const to = incoming.method === 'CONNECT' ? '' : wantedProtocols(incoming);
  const how = to === '' ? { pace } : { pace, upgrade: { to, on: connection } };
  return { exchange: new HttpExchange(incoming, outgoing, how), outgoing };
}
