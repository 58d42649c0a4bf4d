import { constants } from 'node:http2';
import type { Fields } from '#core/http/fields.ts';
import type { ReceivedRequest } from '#core/http/request.ts';
import { keyFields } from './websocket.ts';

/**
 * A request of HTTP/2 as one of HTTP/1.1 would be, RFC 9113 §8.3.1. What a client names twice comes
 * twice: `readRequest` refuses it.
 * @param raw names and values as they came, pseudo-header fields among them
 * @param flags of the frame that began the request
 */
export function receivedOf(raw: Fields, flags: number): ReceivedRequest {
  const pseudo: Record<string, string> = {};
  const fields: string[] = [];
  let cookie: string | undefined;
  let host: string | undefined;
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] ?? '';
    const value = raw[i + 1] ?? '';
    if (name[0] === ':') pseudo[name] = value;
    else if (name === 'host') host = value;
    // RFC 9113 §8.2.3: cookies may come in crumbs.
    else if (name === 'cookie') cookie = cookie === undefined ? value : `${cookie}; ${value}`;
    else fields.push(name, value);
  }
  if (cookie !== undefined) fields.push('cookie', cookie);
  const protocol = pseudo[':protocol'];
  if (protocol !== undefined) fields.push(...keyFields(protocol));
  const authority = pseudo[':authority'] ?? host;
  if (authority !== undefined) fields.push('host', authority);
  // §8.3.1: a Host that contradicts the authority makes the request malformed.
  if (host !== undefined && host !== authority) fields.push('host', host);
  return {
    // RFC 8441 §5: what is asked for by CONNECT here is asked for by GET and Upgrade there.
    method: protocol === undefined ? (pseudo[':method'] ?? '') : 'GET',
    target: pseudo[':path'] ?? '',
    fields,
    encrypted: true,
    httpVersion: '2.0',
    hasContent: protocol === undefined && (flags & constants.NGHTTP2_FLAG_END_STREAM) === 0,
    upgrade: protocol,
  };
}
