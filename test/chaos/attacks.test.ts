import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { Agent, request } from 'undici';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { LongRunning, RunningUp } from '#test/e2e/canopy.ts';
import { TestAuthority } from '#test/tls/authority.ts';
import { Frames } from '#test/tls/frames.ts';

// A real edge of one thread under attack, by clients of 127.0.0.1. Somebody else, at 127.0.0.2, goes on
// asking for pages that are cached, over HTTP/1.1 and HTTP/2, and has every one of them right.

const HOST = 'www.shop.example';
const PAGE = 'p'.repeat(1024);
const LARGE = Buffer.alloc(4 * 1024 * 1024, 'l');
const MIB = 1024 * 1024;
/**
 * What an attack may cost beyond what the edge has when it idles: what V8 and the kernel leave lying for
 * a few hundred connections (64 KiB to read each, and what is on its way to those who do not read).
 */
const MOST_GROWTH = 320 * MIB;
/** Asked for by the innocent, by each protocol, while an attack goes on. */
const REQUESTS = 500;

let root: string;
let origin: Server;
let up: RunningUp;
let edge: LongRunning;
let ca: string;
let [port, tlsPort] = [0, 0];
let idleBytes = 0;
const open = new Set<Socket>();
const timers = new Set<NodeJS.Timeout>();

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'canopy-attacks-'));
  origin = createServer((incoming, outgoing) => {
    incoming.resume();
    outgoing.setHeader('Cache-Control', 'max-age=600');
    outgoing.end(incoming.url === '/large' ? LARGE : PAGE);
  });
  origin.listen(0, '127.0.0.1');
  await once(origin, 'listening');
  const pull = `http://127.0.0.1:${(origin.address() as AddressInfo).port}`;
  up = await RunningUp.start(
    join(root, 'state'),
    '--pull',
    pull,
    '--edges',
    '0',
    '--mid-tiers',
    '0',
  );
  await certify();
  await startEdge();
  await innocent();
  idleBytes = await residentBytes();
}, 90_000);

afterEach(() => {
  for (const timer of timers) clearInterval(timer);
  for (const socket of open) socket.destroy();
  timers.clear();
  open.clear();
});

afterAll(async () => {
  await edge.end('SIGTERM');
  await up.end('SIGINT');
  origin.closeAllConnections();
  origin.close();
  await rm(root, { recursive: true, force: true });
});

async function certify(): Promise<void> {
  const authority = await TestAuthority.create();
  const { cert, key } = await authority.issue({ names: [HOST] });
  ca = authority.ca;
  const [certFile, keyFile] = [join(root, 'cert.pem'), join(root, 'key.pem')];
  await writeFile(certFile, cert);
  await writeFile(keyFile, key);
  const files = ['--cert', certFile, '--key', keyFile, '--private-authority'];
  expect((await up.command('certificates', 'put', 'shop', ...files)).code).toBe(0);
}

async function startEdge(): Promise<void> {
  const nodes = [
    'nodes',
    'enrol',
    'edge-attacked',
    '--tier',
    'edge',
    '--location',
    'oslo,59.9,10.7',
  ];
  const enrolled = await up.command(...nodes, '--url', 'http://127.0.0.1:1', '--json');
  const { token } = JSON.parse(enrolled.stdout) as { token: string };
  const listening = ['--listen', '--admin', '--tls-listen'].flatMap((flag) => [
    flag,
    '127.0.0.1:0',
  ]);
  edge = new LongRunning([
    'edge',
    '--enrol',
    token,
    '--control-plane',
    up.ready.controlPlane.url,
    '--dir',
    join(root, 'edge'),
    ...listening,
    // Small, so that what is cut for being slow is cut while the test looks.
    '--workers',
    '1',
    '--memory',
    '64m',
    '--headers-timeout-ms',
    '1000',
    '--stalled-ms',
    '2000',
    '--content-grace-ms',
    '1000',
    '--max-connections-per-client',
    '500',
  ]);
  await edge.says('edge serves');
  const found = /"url":"http:\/\/127\.0\.0\.1:(\d+)","tlsUrl":"https:\/\/127\.0\.0\.1:(\d+)"/;
  const [, ...numbers] = found.exec(edge.stdout) ?? [];
  [port = 0, tlsPort = 0] = numbers.map(Number);
  // The certificate comes after the edge serves.
  for (let certified = false; !certified;) {
    certified = await overTls('h2').then(
      ({ authorized }) => authorized,
      () => false,
    );
  }
}

async function residentBytes(): Promise<number> {
  const status = await readFile(`/proc/${edge.pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
}

function keep<S extends Socket>(socket: S): S {
  open.add(socket);
  socket.on('error', () => undefined).once('close', () => open.delete(socket));
  return socket;
}

const plain = (): Socket => keep(connect({ port, host: '127.0.0.1' }));

async function overTls(protocol: 'h2' | 'http/1.1'): Promise<TLSSocket> {
  const at = { port: tlsPort, host: '127.0.0.1', servername: HOST, ca, ALPNProtocols: [protocol] };
  const socket = keep(connectTls(at));
  await once(socket, 'secureConnect');
  return socket;
}

const many = <T>(count: number, make: () => T): T[] => Array.from({ length: count }, make);

/** Writes a little now and again to each connection that is still open, as long as the attack goes on. */
function drip(sockets: readonly Socket[], bytes: string): void {
  const one = (): void => sockets.forEach((socket) => socket.writable && socket.write(bytes));
  timers.add(setInterval(one, 50));
}

/** What a client elsewhere sees meanwhile. */
async function innocent(): Promise<void> {
  const agent = new Agent({ localAddress: '127.0.0.2', connections: 4 });
  const session = connectHttp2(`https://${HOST}:${tlsPort}`, {
    createConnection: () =>
      connectTls({
        socket: connect({ port: tlsPort, host: '127.0.0.1', localAddress: '127.0.0.2' }),
        servername: HOST,
        ca,
        ALPNProtocols: ['h2'],
      }),
  });
  try {
    for (let i = 0; i < REQUESTS; i++) {
      const path = `/page-${i % 10}`;
      const [one, two] = await Promise.all([
        request(`http://127.0.0.1:${port}${path}`, {
          dispatcher: agent,
          headers: { Host: HOST },
        }).then(async ({ statusCode, body }) => `${statusCode} ${await body.text()}`),
        over(session, path),
      ]);
      expect([one, two]).toEqual([`200 ${PAGE}`, `200 ${PAGE}`]);
    }
  } finally {
    session.destroy();
    await agent.destroy();
  }
}

async function over(session: ReturnType<typeof connectHttp2>, path: string): Promise<string> {
  const stream = session.request({ ':path': path }).setEncoding('utf8');
  const [headers] = (await once(stream, 'response')) as [{ ':status'?: number }];
  let text = '';
  for await (const chunk of stream) text += String(chunk);
  return `${headers[':status']} ${text}`;
}

/** Until the edge has had enough, after so often at most: a write may be cut off by that. */
async function untilCut(frames: Frames, times: number, send: () => Promise<void>): Promise<void> {
  for (let n = 0; n < times && !frames.isClosed; n++) {
    await send().catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE' && error.code !== 'ECONNRESET') throw error;
    });
  }
  await frames.closed();
}

/** Each begins an attack, which goes on until the test ends. */
const ATTACKS: readonly (readonly [string, () => void | Promise<void>])[] = [
  [
    'header sections that drip in',
    () => {
      const sockets = many(300, plain);
      for (const socket of sockets) socket.write(`GET / HTTP/1.1\r\nHost: ${HOST}\r\n`);
      drip(sockets, 'X-A: b\r\n');
    },
  ],
  [
    'header sections that drip in over TLS',
    async () => {
      const sockets = await Promise.all(many(100, () => overTls('http/1.1')));
      for (const socket of sockets) socket.write(`GET / HTTP/1.1\r\nHost: ${HOST}\r\n`);
      drip(sockets, 'X-A: b\r\n');
    },
  ],
  [
    'content that drips in',
    () => {
      const sockets = many(200, plain);
      const head = `POST /form HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 1000000\r\n\r\n`;
      for (const socket of sockets) socket.write(head);
      drip(sockets, 'x');
    },
  ],
  [
    'clients that do not read what they ask for',
    () => {
      for (const socket of many(100, plain)) {
        socket.pause();
        socket.write(`GET /large HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`.repeat(4));
      }
    },
  ],
  [
    'header sections without end',
    () => {
      const sockets = many(100, plain);
      for (const socket of sockets) socket.write(`GET / HTTP/1.1\r\nHost: ${HOST}\r\n`);
      drip(sockets, `X-A: ${'b'.repeat(8000)}\r\n`);
    },
  ],
  ['many idle connections, and more than one client may have', () => void many(700, plain)],
  [
    'rapid reset of HTTP/2',
    async () => {
      for (let i = 0; i < 5; i++) {
        const frames = await Frames.begin(await overTls('h2'), HOST);
        await untilCut(frames, 1000, () => frames.requestAndReset());
      }
    },
  ],
  [
    'continuation, settings and ping floods of HTTP/2',
    async () => {
      const endless = await Frames.begin(await overTls('h2'), HOST);
      await endless.openHeaders();
      await untilCut(endless, 200, () => endless.continuation(16_000));
      for (const kind of ['settings', 'ping'] as const) {
        const frames = await Frames.begin(await overTls('h2'), HOST);
        await untilCut(frames, 50, () => frames.flood(kind, 1000));
      }
    },
  ],
  [
    'streams of HTTP/2 whose window stays shut',
    async () => {
      const frames = await Frames.begin(await overTls('h2'), HOST);
      await frames.shutWindow();
      for (let n = 0; n < 100; n++) await frames.request('/large');
    },
  ],
];

test.each(ATTACKS)('%s: nobody else is harmed, and memory stays bounded', async (_, attack) => {
  await Promise.all([attack(), innocent()]);
  expect(await residentBytes()).toBeLessThan(idleBytes + MOST_GROWTH);
});

test('who is slow is sent away', async () => {
  const socket = plain();
  socket.write(`GET / HTTP/1.1\r\nHost: ${HOST}\r\n`);
  drip([socket], 'X-A: b\r\n');
  let text = '';
  for await (const chunk of socket) text += String(chunk);
  expect(text).toMatch(/^HTTP\/1\.1 408 /);
});
