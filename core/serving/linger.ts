import type { Socket } from 'node:net';

/** How long a connection whose answer is sent may stay silent before it is cut. */
const LINGER_MS = 2_000;

/**
 * Makes a connection that is about to be closed by us linger, RFC 9112 §9.6: what the client still
 * sends is read and dropped, for a connection closed on unread bytes is reset, and the reset may
 * reach the client before it has read its answer.
 */
export function lingers(socket: Socket): void {
  // This is what node:http calls once the last answer is written.
  socket.destroySoon = () => {
    socket.setTimeout(LINGER_MS, () => socket.destroy());
    socket.end();
  };
}
