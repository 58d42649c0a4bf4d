import type { Socket } from 'node:net';

/** How long a connection whose answer is sent may stay silent, and how long it may go on, before it is cut. */
const LINGER = { silentMs: 2_000, mostMs: 30_000 };

/**
 * Makes a connection that is about to be closed by us linger, RFC 9112 §9.6: what the client still
 * sends is read and dropped, for a connection closed on unread bytes is reset, and the reset may
 * reach the client before it has read its answer.
 */
export function lingers(socket: Socket, { silentMs, mostMs } = LINGER): void {
  // This is what node:http calls once the last answer is written.
  socket.destroySoon = () => {
    const cut = (): void => void socket.destroy();
    socket.setTimeout(silentMs, cut);
    // Who sends a byte now and then is never silent.
    const cutting = setTimeout(cut, mostMs).unref();
    socket.once('close', () => clearTimeout(cutting));
    socket.end();
  };
}
