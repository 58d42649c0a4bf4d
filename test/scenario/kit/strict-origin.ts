import { createServer, type Server, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
// oxlint-disable-next-line no-control-regex -- RFC 9110 §5.5: what may stand in a value
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/**
 * An origin that frames what comes as RFC 9112 §6 has it and takes nothing that is not plainly a
 * request: what a parent would have to guess at is noted as `INVALID`.
 */
export class StrictOrigin {
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;
  /** `GET /a`, and the content in quotes if there is any; in the order in which they came. */
  readonly requests: string[] = [];
  /** Of the same requests. */
  readonly heads: string[] = [];
  readonly #answer: (head: string, said: string) => OriginAnswer;

  /** @param answer by default what it was asked, to be kept for a minute */
  constructor(
    answer: (head: string, said: string) => OriginAnswer = (_, said) => ({
      status: 200,
      fields: 'Cache-Control: max-age=60\r\n',
      body: said,
    }),
  ) {
    this.#answer = answer;
    this.#server = createServer((socket) => this.#serve(socket));
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async up(): Promise<this> {
    await new Promise<void>((resolve) => void this.#server.listen(0, '127.0.0.1', resolve));
    return this;
  }

  async down(): Promise<void> {
    const closed = new Promise<void>((resolve) => void this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    socket.on('error', () => undefined);
    let received = '';
    let isAsking = false;
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1');
      const expects = /^[^]*?\r\nexpect: 100-continue\r\n/i.test(
        received.split('\r\n\r\n')[0] + '\r\n',
      );
      if (expects && !isAsking) socket.write('HTTP/1.1 100 Continue\r\n\r\n');
      isAsking = expects;
      for (let read = message(received); read !== undefined; read = message(received)) {
        received = received.slice(read.length);
        this.requests.push(read.said);
        this.heads.push(read.head);
        const { status, fields, body } = this.#answer(read.head, read.said);
        socket.write(
          `HTTP/1.1 ${status} As told\r\n${fields}Content-Length: ${body.length}\r\n\r\n` +
            (read.said.startsWith('HEAD ') ? '' : body),
          'latin1',
        );
      }
    });
  }
}

export interface OriginAnswer {
  readonly status: number;
  /** Lines with their ends. */
  readonly fields: string;
  readonly body: string;
}

interface Message {
  readonly said: string;
  readonly head: string;
  readonly length: number;
}

function message(text: string): Message | undefined {
  const headEnd = text.indexOf('\r\n\r\n');
  if (headEnd === -1) return undefined;
  const head = text.slice(0, headEnd);
  const [line = '', ...fieldLines] = head.split('\r\n');
  const [, method, target] = /^([!-~]+) ([!-~\x80-\xff]+) HTTP\/1\.1$/.exec(line) ?? [];
  const invalid = (): Message => ({ said: `INVALID ${text}`, head, length: text.length });
  if (method === undefined || !TOKEN.test(method)) return invalid();
  const fields = fieldLines.map((field) => {
    const colon = field.indexOf(':');
    return [field.slice(0, colon).toLowerCase(), field.slice(colon + 1)] as const;
  });
  if (!fields.every(([name, value]) => TOKEN.test(name) && VALUE.test(value))) return invalid();
  const all = (name: string): string[] =>
    fields.filter((field) => field[0] === name).map(([, value]) => value.trim());
  const [lengths, codings] = [all('content-length'), all('transfer-encoding')];
  if (all('host').length !== 1 || lengths.length + codings.length > 1) return invalid();
  const start = headEnd + 4;
  const said = (content: string): string =>
    `${method} ${target}${content === '' ? '' : ` "${content}"`}`;
  if (codings.length === 1) {
    if (codings[0] !== 'chunked') return invalid();
    const read = chunks(text, start);
    if (read === undefined) return undefined;
    return read === 'invalid' ? invalid() : { said: said(read.content), head, length: read.end };
  }
  const [length = '0'] = lengths;
  if (!/^(?:0|[1-9]\d*)$/.test(length)) return invalid();
  const end = start + Number(length);
  return text.length < end ? undefined : { said: said(text.slice(start, end)), head, length: end };
}

function chunks(text: string, start: number) {
  let content = '';
  for (let at = start; ;) {
    const lineEnd = text.indexOf('\r\n', at);
    if (lineEnd === -1) return undefined;
    const line = text.slice(at, lineEnd);
    if (!/^[\dA-Fa-f]+$/.test(line)) return 'invalid' as const;
    const size = Number.parseInt(line, 16);
    const end = lineEnd + 2 + size;
    if (text.length < end + 2) return undefined;
    if (text.slice(end, end + 2) !== '\r\n') return 'invalid' as const;
    if (size === 0) return { content, end: end + 2 };
    content += text.slice(lineEnd + 2, end);
    at = end + 2;
  }
}
