import { createHash, randomBytes } from 'node:crypto';
import { type Fields, fieldValue } from '#core/http/fields.ts';

/** RFC 6455 §1.3. */
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** RFC 8441 §5.1: over HTTP/2 the opening handshake has no key, which HTTP/1.1 wants. */
export const keyFields = (protocol: string): Fields =>
  protocol === 'websocket' ? ['sec-websocket-key', randomBytes(16).toString('base64')] : [];

/** Whether a parent has understood the handshake, which only we can tell (RFC 6455 §4.1). */
export function isAccepted(request: Fields, answer: Fields): boolean {
  const key = fieldValue(request, 'sec-websocket-key');
  if (key === undefined) return true;
  const expected = createHash('sha1').update(`${key}${GUID}`).digest('base64');
  return fieldValue(answer, 'sec-websocket-accept')?.trim() === expected;
}
