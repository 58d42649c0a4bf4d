import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** RFC 6455 §4.2.2: accepts, then sends back every short message unmasked until it is closed. */
export function acceptWebSocket(incoming: IncomingMessage, socket: Duplex): void {
  const key = String(incoming.headers['sec-websocket-key']);
  const accept = createHash('sha1')
    .update(key + GUID)
    .digest('base64');
  socket.write(
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
      `Sec-WebSocket-Accept: ${accept}\r\n\r\n`,
  );
  let received = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
    for (let frame = readFrame(received); frame !== undefined; frame = readFrame(received)) {
      received = received.subarray(frame.length);
      socket.write(
        Buffer.concat([Buffer.from([frame.first, frame.content.length]), frame.content]),
      );
      if ((frame.first & 0x0f) === CLOSE) socket.end();
    }
  });
  socket.on('error', () => undefined);
}

const CLOSE = 8;

/** A masked frame of less than 126 bytes, RFC 6455 §5.2. */
function readFrame(bytes: Buffer): { first: number; content: Buffer; length: number } | undefined {
  if (bytes.length < 6) return undefined;
  const size = bytes.readUInt8(1) & 0x7f;
  if (bytes.length < 6 + size) return undefined;
  const mask = bytes.subarray(2, 6);
  const content = Buffer.from(bytes.subarray(6, 6 + size)).map((b, i) => b ^ (mask[i % 4] ?? 0));
  return { first: bytes.readUInt8(0), content: Buffer.from(content), length: 6 + size };
}
