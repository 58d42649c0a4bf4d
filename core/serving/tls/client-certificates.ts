import type { TLSSocket } from 'node:tls';

const VERIFIED = new WeakMap<object, string>();

/**
 * Notes by which authorities the client of a connection was verified, if it was. A session that was
 * resumed counts as authorized without any certificate, so there must be one, of today.
 * @param authorities PEM
 * @param now ms since the Unix epoch
 */
export function noteClient(socket: TLSSocket, authorities: string, now: number): void {
  const certificate = socket.getPeerX509Certificate();
  if (!socket.authorized || certificate === undefined) return;
  if (Date.parse(certificate.validTo) > now) VERIFIED.set(socket, authorities);
}

/** The authorities that the client of a connection was verified by. */
export const verifiedBy = (socket: object): string | undefined => VERIFIED.get(socket);
