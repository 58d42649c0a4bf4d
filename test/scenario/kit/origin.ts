import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { expect } from 'vitest';
import { formatDate } from '#core/http/dates.ts';
import type { FakeClock } from './clock.ts';

/** What the origin says to one request. */
export interface Script {
  readonly status?: number;
  readonly cacheControl?: string;
  readonly etag?: string;
  readonly lastModified?: string;
  /** Further fields. */
  readonly fields?: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: string | Buffer;
  /** Answers a single `Range` with 206; without it only one that resumes a broken transfer. */
  readonly ranges?: boolean;
  /** The connection is cut after so many bytes of the body. */
  readonly breaksAfter?: number;
  /** The answer starts only when the gate opens. */
  readonly waitsFor?: Gate;
  /** The body from here on is sent only when the gate opens. */
  readonly pausesAt?: { readonly bytes: number; readonly gate: Gate };
}

/** Holds answers back until a test opens it, and tells the test who has come. */
export class Gate {
  readonly #open = Promise.withResolvers<void>();
  readonly #arrivals: (() => void)[] = [];
  #arrived = 0;

  open(): void {
    this.#open.resolve();
  }

  pass(): Promise<void> {
    this.#arrived++;
    for (const check of this.#arrivals) check();
    return this.#open.promise;
  }

  /** Resolves when `count` requests wait here. */
  reached(count = 1): Promise<void> {
    return new Promise((resolve) => {
      const check = (): void => {
        if (this.#arrived >= count) resolve();
      };
      this.#arrivals.push(check);
      check();
    });
  }
}

/** A customer's server that answers what it was told to, and notes every request as a failure that it was not. */
export class ScriptedOrigin {
  readonly #clock: FakeClock;
  readonly #scripts = new Map<string, Script[]>();
  readonly #seen: string[] = [];
  readonly #unexpected: string[] = [];
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  #port = 0;

  constructor(clock: FakeClock) {
    this.#clock = clock;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** How many requests came since `saw` was last asked. */
  get requests(): number {
    return this.#seen.length;
  }

  /** Answers `GET target` so, from now on, whatever was scripted for it before. */
  answers(target: string, ...scripts: readonly Script[]): void {
    this.answersTo(`GET ${target}`, ...scripts);
  }

  /** @param request method and target; several scripts are used up in order, the last one stays */
  answersTo(request: string, ...scripts: readonly Script[]): void {
    this.#scripts.set(request, [...scripts]);
  }

  /** The requests since the last call, exactly: `GET /logo`, `GET /logo if-none-match "v1"`. */
  saw(...requests: readonly string[]): void {
    const seen = this.#seen.splice(0);
    expect(seen).toEqual(requests);
  }

  /** Fails a scenario whose origin was asked for what it does not know. */
  assertNothingUnexpected(): void {
    expect(this.#unexpected, 'requests that the origin was not told to expect').toEqual([]);
  }

  /** Starts listening, again on the same port after `down`. */
  async up(): Promise<void> {
    const server = createServer((incoming, outgoing) => void this.#answer(incoming, outgoing));
    server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    await new Promise<void>((resolve) => void server.listen(this.#port, '127.0.0.1', resolve));
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  /** Dies as a killed process does: connections are reset, new ones refused. */
  async down(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const closed = new Promise<void>((resolve) => void server.close(() => resolve()));
    for (const socket of this.#sockets) socket.resetAndDestroy();
    await closed;
  }

  async #answer(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const request = `${incoming.method} ${incoming.url}`;
    this.#seen.push(request + conditionsOf(incoming));
    const scripts = this.#scripts.get(request);
    const script = scripts !== undefined && scripts.length > 1 ? scripts.shift() : scripts?.[0];
    if (script === undefined) {
      this.#unexpected.push(request);
      outgoing.writeHead(500).end('not expected');
      return;
    }
    const content = incoming.method === 'GET' ? '' : await text(incoming);
    await script.waitsFor?.pass();
    await send(outgoing, incoming, script, content, formatDate(this.#clock.now()));
  }
}

async function send(
  outgoing: ServerResponse,
  incoming: IncomingMessage,
  script: Script,
  content: string,
  date: string,
): Promise<void> {
  const { etag, lastModified, cacheControl, fields = {} } = script;
  outgoing.sendDate = false;
  outgoing.setHeader('Date', date);
  if (etag !== undefined) outgoing.setHeader('ETag', etag);
  if (lastModified !== undefined) outgoing.setHeader('Last-Modified', lastModified);
  if (cacheControl !== undefined) outgoing.setHeader('Cache-Control', cacheControl);
  for (const [name, value] of Object.entries(fields)) outgoing.setHeader(name, value);
  if (etag !== undefined && incoming.headers['if-none-match'] === etag) {
    outgoing.writeHead(304).end();
    return;
  }
  const { body: scripted = content } = script;
  const whole = typeof scripted === 'string' ? Buffer.from(scripted) : scripted;
  const { start, end } = rangeOf(incoming, script, whole.length);
  const body = whole.subarray(start, end + 1);
  const isPart = body.length < whole.length;
  if (isPart) outgoing.setHeader('Content-Range', `bytes ${start}-${end}/${whole.length}`);
  if (!outgoing.hasHeader('Transfer-Encoding')) outgoing.setHeader('Content-Length', body.length);
  outgoing.writeHead(isPart ? 206 : (script.status ?? 200));
  if (incoming.method === 'HEAD') {
    outgoing.end();
    return;
  }
  const { breaksAfter, pausesAt } = script;
  if (breaksAfter !== undefined) {
    outgoing.write(body.subarray(0, breaksAfter), () => outgoing.socket?.resetAndDestroy());
    return;
  }
  if (pausesAt === undefined) {
    outgoing.end(body);
    return;
  }
  outgoing.write(body.subarray(0, pausesAt.bytes));
  await pausesAt.gate.pass();
  outgoing.end(body.subarray(pausesAt.bytes));
}

/** By default an origin knows ranges only as far as resuming needs them. */
function rangeOf(
  { headers }: IncomingMessage,
  { etag, ranges = false }: Script,
  size: number,
): { start: number; end: number } {
  const whole = { start: 0, end: size - 1 };
  const ifRange = headers['if-range'];
  if (ranges ? ifRange !== undefined && ifRange !== etag : etag === undefined || ifRange !== etag) {
    return whole;
  }
  const [, first = '', last = ''] = /^bytes=(\d*)-(\d*)$/.exec(headers.range ?? '') ?? [];
  if (first === '') {
    return last === '' || !ranges
      ? whole
      : { start: Math.max(0, size - Number(last)), end: size - 1 };
  }
  if (last !== '' && !ranges) return whole;
  return { start: Number(first), end: Math.min(last === '' ? Infinity : Number(last), size - 1) };
}

const NOTED = ['if-none-match', 'if-modified-since', 'range', 'if-range'];

function conditionsOf({ headers }: IncomingMessage): string {
  return NOTED.flatMap((name) => {
    const value = headers[name];
    return value === undefined ? [] : [` ${name} ${String(value)}`];
  }).join('');
}
