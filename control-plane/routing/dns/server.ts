import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, createServer, isIPv6, type Server, type Socket } from 'node:net';
import { CanopyError, messageOf } from '#core/errors.ts';
import { bind } from '#core/serving/listener.ts';
import type { Responder } from './responder.ts';

/** RFC 7766 §6.2.3: connections are kept while they are used. */
const IDLE_MS = 10_000;
const MAX_CONNECTIONS = 1_000;
/** An answer that nobody reads stops the reading of further queries. */
const RECEIVE_BYTES = 4 * 1024 * 1024;
/** How often ports are tried where any free one will do: it has to be free for both protocols. */
const PORT_TRIES = 10;

export interface DnsAddress {
  readonly host: string;
  /** 0: any port that is free for UDP and TCP. */
  readonly port: number;
}

export interface DnsServerOptions extends DnsAddress {
  /** Several threads answer on the same port. */
  readonly reusePort?: boolean;
}

/** Serves DNS over UDP and TCP. */
export class DnsServer {
  readonly address: DnsAddress;
  readonly #udp: UdpSocket;
  readonly #tcp: Server;
  readonly #connections: ReadonlySet<Socket>;

  private constructor(
    address: DnsAddress,
    sockets: { readonly udp: UdpSocket; readonly tcp: Server; readonly open: ReadonlySet<Socket> },
  ) {
    this.address = address;
    this.#udp = sockets.udp;
    this.#tcp = sockets.tcp;
    this.#connections = sockets.open;
  }

  /** @throws CanopyError `conflict` where the port is taken */
  static async open(options: DnsServerOptions, responder: Responder): Promise<DnsServer> {
    const { host, port, reusePort = false } = options;
    for (let left = PORT_TRIES; ; left--) {
      const open = new Set<Socket>();
      const tcp = createServer({ noDelay: true }, (connection) => {
        open.add(connection);
        connection.once('close', () => open.delete(connection));
        serveConnection(connection, responder);
      });
      tcp.maxConnections = MAX_CONNECTIONS;
      await bind(tcp, { host, port, reusePort });
      const bound = (tcp.address() as AddressInfo).port;
      try {
        const udp = await openUdp({ host, port: bound, reusePort }, responder);
        return new DnsServer({ host, port: bound }, { udp, tcp, open });
      } catch (error) {
        await new Promise((resolve) => void tcp.close(resolve));
        if (port !== 0 || left === 0) throw error;
      }
    }
  }

  /** Open TCP connections. */
  get connections(): number {
    return this.#connections.size;
  }

  async close(): Promise<void> {
    const closed = [once(this.#udp, 'close'), once(this.#tcp, 'close')];
    this.#udp.close();
    this.#tcp.close();
    for (const connection of this.#connections) connection.destroy();
    await Promise.all(closed);
  }
}

async function openUdp(
  { host, port, reusePort = false }: DnsServerOptions,
  responder: Responder,
): Promise<UdpSocket> {
  const family = isIPv6(host) ? 6 : 4;
  const socket = createSocket({
    type: `udp${family}`,
    reusePort,
    recvBufferSize: RECEIVE_BYTES,
    // Addresses, never names: a look-up would only cost a turn of the loop.
    lookup: (address, _, done) => done(null, address, family),
  });
  const bound = once(socket, 'listening');
  socket.bind(port, host);
  try {
    await bound;
  } catch (cause) {
    socket.close();
    throw new CanopyError('conflict', `${host}:${port} (UDP): ${messageOf(cause)}`, { cause });
  }
  // Answers to those who have gone come back as errors.
  socket.on('error', () => undefined);
  socket.on('message', (message, peer) => {
    const answer = responder.respond(message, peer.address, 'udp');
    // Nobody is told what has become of it: a callback for each costs a tenth of all.
    if (answer !== undefined) socket.send(answer, peer.port, peer.address);
  });
  return socket;
}

/** Queries one after the other (RFC 7766 §6.2.1), each after two bytes of its length. */
function serveConnection(connection: Socket, responder: Responder): void {
  let received: Buffer = Buffer.alloc(0);
  const take = (): void => {
    while (received.length >= 2 && !connection.writableNeedDrain) {
      const end = 2 + received.readUInt16BE(0);
      if (received.length < end) return;
      const message = received.subarray(2, end);
      received = received.subarray(end);
      const answer = responder.respond(message, connection.remoteAddress ?? '', 'tcp');
      // What must not be answered by UDP has no reason to be sent by TCP.
      if (answer === undefined) return void connection.destroy();
      const length = Buffer.alloc(2);
      length.writeUInt16BE(answer.length);
      connection.write(Buffer.concat([length, answer]));
    }
    if (connection.writableNeedDrain) connection.pause();
  };
  connection.setTimeout(IDLE_MS, () => connection.destroy());
  connection.on('error', () => undefined);
  connection.on('data', (chunk: Buffer) => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
    take();
  });
  connection.on('drain', () => {
    connection.resume();
    take();
  });
}
