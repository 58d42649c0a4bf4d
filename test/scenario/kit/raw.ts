import { connect, createServer, type Server, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';

/** One answer as it stood on the wire. */
export interface RawAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** A connection on which a test says byte for byte what a client sends. */
export class RawClient {
  readonly socket: Socket;
  #received = '';
  #changed = (): void => undefined;
  #closed = false;
  #failure: Error | undefined;

  constructor(url: string) {
    const { hostname, port } = new URL(url);
    this.socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
    this.socket.setEncoding('latin1');
    this.socket.on('data', (text: string) => {
      this.#received += text;
      this.#changed();
    });
    this.socket.on('error', (error) => {
      this.#failure = error;
    });
    for (const event of ['end', 'close']) {
      this.socket.on(event, () => {
        this.#closed = true;
        this.#changed();
      });
    }
  }

  send(text: string): this {
    this.socket.write(text, 'latin1');
    return this;
  }

  /** The next answer, interim ones included; fails where the connection is closed without one. */
  async answer(how: { readonly toHead?: boolean } = {}): Promise<RawAnswer> {
    for (;;) {
      const parsed = parseAnswer(this.#received, how.toHead === true);
      if (parsed !== undefined) {
        this.#received = this.#received.slice(parsed.length);
        return parsed.answer;
      }
      if (this.#closed) throw new Error(`Closed after ${JSON.stringify(this.#received)}`);
      await this.#change();
    }
  }

  /** Whatever comes next, as soon as it is at least so long. */
  async bytes(count: number): Promise<string> {
    while (this.#received.length < count && !this.#closed) await this.#change();
    const taken = this.#received.slice(0, count);
    this.#received = this.#received.slice(count);
    return taken;
  }

  /** Resolves when the other side has closed; what was left unread. */
  async closed(): Promise<string> {
    while (!this.#closed) await this.#change();
    this.socket.destroy();
    return this.#received;
  }

  /** Sends all of `text` and ends; resolves when both sides have, fails if the other reset. */
  async finish(text: string): Promise<void> {
    const closed = new Promise((resolve) => void this.socket.once('close', resolve));
    this.socket.end(text, 'latin1');
    await closed;
    if (this.#failure !== undefined) throw this.#failure;
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#changed = resolve;
    });
  }
}

/** An answer framed by Content-Length, by chunks, or without content (RFC 9112 §6.3). */
function parseAnswer(
  text: string,
  toHead: boolean,
): { readonly answer: RawAnswer; readonly length: number } | undefined {
  const headEnd = text.indexOf('\r\n\r\n');
  if (headEnd === -1) return undefined;
  const [statusLine = '', ...lines] = text.slice(0, headEnd).split('\r\n');
  const status = Number(statusLine.split(' ')[1]);
  const headers = Object.fromEntries(
    lines.map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }),
  );
  const start = headEnd + 4;
  if (toHead || status < 200 || status === 204 || status === 304) {
    return { answer: { status, headers, body: '' }, length: start };
  }
  if (headers['transfer-encoding'] === 'chunked') return parseChunks(text, start, status, headers);
  const length = start + Number(headers['content-length'] ?? 0);
  if (text.length < length) return undefined;
  return { answer: { status, headers, body: text.slice(start, length) }, length };
}

function parseChunks(text: string, start: number, status: number, headers: RawAnswer['headers']) {
  let body = '';
  for (let at = start; ;) {
    const lineEnd = text.indexOf('\r\n', at);
    if (lineEnd === -1) return undefined;
    const size = Number.parseInt(text.slice(at, lineEnd), 16);
    const end = lineEnd + 2 + size;
    if (text.length < end + 2) return undefined;
    if (size === 0) return { answer: { status, headers, body }, length: end + 2 };
    body += text.slice(lineEnd + 2, end);
    at = end + 2;
  }
}

/** An origin that does to each connection what a test says, byte for byte. */
export class RawOrigin {
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;
  /** Header sections received, in order. */
  readonly requests: string[] = [];
  #port = 0;

  /** @param answer called for each header section that has come */
  constructor(answer: (socket: Socket, request: string) => void) {
    this.#server = createServer({ allowHalfOpen: true }, (socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
      socket.on('error', () => undefined);
      let received = '';
      socket.on('data', (chunk) => {
        received += chunk.toString('latin1');
        for (
          let end = received.indexOf('\r\n\r\n');
          end !== -1;
          end = received.indexOf('\r\n\r\n')
        ) {
          const request = received.slice(0, end);
          received = received.slice(end + 4);
          this.requests.push(request);
          answer(socket, request);
        }
      });
      socket.on('end', () => socket.end());
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Open now. */
  get connections(): number {
    return this.#sockets.size;
  }

  async up(): Promise<this> {
    await new Promise<void>((resolve) => void this.#server.listen(0, '127.0.0.1', resolve));
    this.#port = (this.#server.address() as AddressInfo).port;
    return this;
  }

  async down(): Promise<void> {
    const closed = new Promise<void>((resolve) => void this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}
