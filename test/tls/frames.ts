import { once } from 'node:events';
import type { TLSSocket } from 'node:tls';

const DATA = 0;
const HEADERS = 1;
const PRIORITY = 2;
const RST_STREAM = 3;
const SETTINGS = 4;
const PING = 6;
const GOAWAY = 7;
const WINDOW_UPDATE = 8;
const CONTINUATION = 9;

const END_STREAM = 1;
const END_HEADERS = 4;
const CANCEL = 8;

const frame = (type: number, flags: number, stream: number, payload: Buffer): Buffer => {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
};

const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};

/** HPACK (RFC 7541): an integer of a prefix of `bits`. */
function integer(value: number, bits: number, first: number): Buffer {
  const most = 2 ** bits - 1;
  if (value < most) return Buffer.of(first | value);
  const bytes = [first | most];
  let rest = value - most;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  return Buffer.from([...bytes, rest]);
}

const string = (text: string): Buffer =>
  Buffer.concat([integer(text.length, 7, 0), Buffer.from(text, 'latin1')]);

/** Literal fields, kept in the table (0x40) or not (0x00). */
const literal = (name: string, value: string, kept = false): Buffer =>
  Buffer.concat([Buffer.of(kept ? 0x40 : 0), string(name), string(value)]);

/** A client of HTTP/2 that sends whatever a test wants, frame by frame. */
export class Frames {
  readonly #socket: TLSSocket;
  readonly #host: string;
  #stream = -1;
  #held = Buffer.alloc(0);
  /** Of the GOAWAY that came, -1: none. */
  goawayCode = -1;
  /** Codes of the streams that were reset. */
  readonly resetCodes: number[] = [];
  /** Of header sections that came, in HPACK. */
  readonly answered: Buffer[] = [];

  private constructor(socket: TLSSocket, host: string) {
    this.#socket = socket;
    this.#host = host;
    socket.setMaxListeners(0).on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
  }

  static async begin(socket: TLSSocket, host: string): Promise<Frames> {
    const frames = new Frames(socket, host);
    await frames.#write(
      Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1'),
      frame(SETTINGS, 0, 0, Buffer.alloc(0)),
    );
    return frames;
  }

  get isClosed(): boolean {
    return this.#socket.destroyed || this.#socket.readableEnded;
  }

  /** Resolves once the other side has ended the connection. */
  async closed(): Promise<void> {
    if (!this.isClosed) await once(this.#socket, 'close');
  }

  end(): void {
    this.#socket.destroy();
  }

  async request(path = '/'): Promise<void> {
    const fields = this.#fields('GET', path);
    await this.#write(frame(HEADERS, END_HEADERS | END_STREAM, this.#next(), fields));
  }

  /** A request of just these fields. @param content left out: the stream ends with the fields */
  async send(fields: readonly (readonly [string, string])[], content?: string): Promise<void> {
    const stream = this.#next();
    const block = Buffer.concat(fields.map(([name, value]) => literal(name, value)));
    const flags = content === undefined ? END_HEADERS | END_STREAM : END_HEADERS;
    const data =
      content === undefined ? [] : [frame(DATA, END_STREAM, stream, Buffer.from(content))];
    await this.#write(frame(HEADERS, flags, stream, block), ...data);
  }

  async requestAndReset(): Promise<void> {
    const stream = this.#next();
    await this.#write(
      frame(HEADERS, END_HEADERS | END_STREAM, stream, this.#fields()),
      frame(RST_STREAM, 0, stream, uint32(CANCEL)),
    );
  }

  async openHeaders(): Promise<void> {
    await this.#write(frame(HEADERS, END_STREAM, this.#next(), this.#fields()));
  }

  async continuation(bytes: number): Promise<void> {
    const field = literal('x-more', 'v'.repeat(bytes - 20));
    await this.#write(frame(CONTINUATION, 0, this.#stream, field));
  }

  async flood(
    kind: 'settings' | 'ping' | 'windowUpdate' | 'priority' | 'emptyData',
    count: number,
  ): Promise<void> {
    if (kind === 'emptyData' && this.#stream < 0) {
      const fields = this.#fields('POST');
      await this.#write(frame(HEADERS, END_HEADERS, this.#next(), fields));
    }
    const one = {
      settings: () => frame(SETTINGS, 0, 0, Buffer.from([0, 4, 0, 0, 255, 255])),
      ping: () => frame(PING, 0, 0, Buffer.alloc(8)),
      // Of no more than a byte, so that the window does not overflow.
      windowUpdate: () => frame(WINDOW_UPDATE, 0, 0, uint32(1)),
      priority: () => frame(PRIORITY, 0, 1, Buffer.from([0, 0, 0, 0, 1])),
      emptyData: () => frame(DATA, 0, this.#stream, Buffer.alloc(0)),
    }[kind]();
    await this.#write(...Array.from({ length: count }, () => one));
  }

  /** A field of `bytes` that is put into the table once and named `times` times. */
  async headerBomb(bytes: number, times: number): Promise<void> {
    const bomb = Buffer.concat([
      this.#fields(),
      literal('x-bomb', 'b'.repeat(bytes), true),
      ...Array.from({ length: times }, () => integer(62, 7, 0x80)),
    ]);
    await this.#write(frame(HEADERS, END_HEADERS | END_STREAM, this.#next(), bomb));
  }

  /** Has answers wait for ever. */
  async shutWindow(): Promise<void> {
    await this.#write(frame(SETTINGS, 0, 0, Buffer.from([0, 4, 0, 0, 0, 0])));
  }

  /** Resolves once all that was sent has been taken, for a ping is answered in its turn. */
  async idle(): Promise<void> {
    if (this.isClosed) return;
    const answered = new Promise<void>((resolve) => {
      this.#onPing = resolve;
      this.#socket.once('close', () => resolve());
    });
    await this.#write(frame(PING, 0, 0, Buffer.alloc(8, 1)));
    await answered;
  }

  #onPing: () => void = () => undefined;

  #next(): number {
    return (this.#stream += 2);
  }

  #fields(method = 'GET', path = '/'): Buffer {
    return Buffer.concat([
      literal(':method', method),
      literal(':scheme', 'https'),
      literal(':path', path),
      literal(':authority', this.#host),
    ]);
  }

  async #write(...parts: readonly Buffer[]): Promise<void> {
    if (this.isClosed) return;
    if (this.#socket.write(Buffer.concat(parts))) return;
    await Promise.race([once(this.#socket, 'drain'), once(this.#socket, 'close')]);
  }

  #receive(chunk: Buffer): void {
    this.#held = Buffer.concat([this.#held, chunk]);
    while (this.#held.length >= 9) {
      const length = this.#held.readUIntBE(0, 3);
      if (this.#held.length < 9 + length) return;
      const [type, flags] = [this.#held[3], this.#held[4]];
      const payload = this.#held.subarray(9, 9 + length);
      this.#held = this.#held.subarray(9 + length);
      if (type === HEADERS) this.answered.push(payload);
      if (type === RST_STREAM) this.resetCodes.push(payload.readUInt32BE());
      if (type === GOAWAY) this.goawayCode = payload.readUInt32BE(4);
      if (type === PING && flags === 1 && payload[0] === 1) this.#onPing();
    }
  }
}
