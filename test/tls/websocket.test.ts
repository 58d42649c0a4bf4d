import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { acceptWebSocket } from '#test/scenario/kit/websocket.ts';
import { type Issued, TestAuthority } from './authority.ts';
import { HOST, TlsEdge } from './edge.ts';

// WebSockets over HTTP/2 (RFC 8441): extended CONNECT at the edge, Upgrade up the tree.

let root: TestAuthority;
let www: Issued;
beforeAll(async () => {
  root = await TestAuthority.create();
  www = await root.issue({ names: [HOST] });
});

async function started(options: Parameters<typeof TlsEdge.start>[0]) {
  const edge = await TlsEdge.start(options);
  edge.certify('www', www);
  const client = connect(`https://127.0.0.1:${edge.port}`, { servername: HOST, ca: root.ca });
  client.on('error', () => undefined);
  onTestFinished(() => client.destroy());
  const [settings] = (await once(client, 'remoteSettings')) as [
    { enableConnectProtocol?: boolean },
  ];
  expect(settings.enableConnectProtocol).toBe(true);
  return { edge, client };
}

function open(client: ClientHttp2Session, fields: Readonly<Record<string, string>> = {}) {
  const stream = client.request({
    ':method': 'CONNECT',
    ':protocol': 'websocket',
    ':scheme': 'https',
    ':path': '/socket',
    ':authority': HOST,
    'sec-websocket-version': '13',
    ...fields,
  });
  stream.on('error', () => undefined);
  return stream;
}

const responseTo = async (stream: ClientHttp2Stream): Promise<Record<string, unknown>> =>
  ((await once(stream, 'response')) as [Record<string, unknown>])[0];

/** A frame with a mask of zeros, RFC 6455 §5.2. */
const masked = (opcode: number, content: string): Buffer =>
  Buffer.concat([
    Buffer.of(0x80 | opcode, 0x80 | content.length, 0, 0, 0, 0),
    Buffer.from(content),
  ]);

const TEXT = 1;
const CLOSE = 8;

async function reads(stream: ClientHttp2Stream, bytes: number): Promise<Buffer> {
  let read = Buffer.alloc(0);
  while (read.length < bytes) {
    const chunk = stream.read() as Buffer | null;
    if (chunk === null) await once(stream, 'readable');
    else read = Buffer.concat([read, chunk]);
  }
  return read;
}

test('messages go both ways, and an end goes through', async () => {
  const asked: IncomingMessage[] = [];
  const { edge, client } = await started({
    upgrade: (incoming, socket) => {
      asked.push(incoming);
      acceptWebSocket(incoming, socket);
    },
  });
  const stream = open(client, { 'sec-websocket-protocol': 'chat', origin: `https://${HOST}` });
  const response = await responseTo(stream);
  expect(response[':status']).toBe(200);
  for (const name of ['upgrade', 'connection', 'sec-websocket-accept']) {
    expect(response).not.toHaveProperty(name);
  }
  expect(asked[0]).toMatchObject({ method: 'GET', url: '/socket' });
  expect(asked[0]?.headers).toMatchObject({
    'x-forwarded-host': HOST,
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-protocol': 'chat',
    origin: `https://${HOST}`,
  });
  expect(asked[0]?.headers['sec-websocket-key']).toMatch(/^[\w+/]{22}==$/);
  expect(edge.activity).toMatchObject({ tunnels: 1, requests: 1 });
  stream.write(masked(TEXT, 'hello'));
  expect((await reads(stream, 7)).toString('latin1')).toBe('\x81\x05hello');
  stream.end(masked(CLOSE, '\x03\xe8'));
  await buffer(stream);
  await expect.poll(() => edge.activity).toMatchObject({ tunnels: 0, requests: 0 });
  expect(client.destroyed).toBe(false);
});

test('what an origin answers instead is the answer', async () => {
  const { client } = await started({
    origin: (_, outgoing) => outgoing.writeHead(403, { 'Content-Type': 'text/plain' }).end('no'),
  });
  const stream = open(client);
  expect((await responseTo(stream))[':status']).toBe(403);
  expect((await buffer(stream)).toString()).toBe('no');
});

test('an origin that has not understood the handshake is not believed: 502', async () => {
  const { client } = await started({
    upgrade: (_, socket) => {
      socket.write(
        'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
          'Sec-WebSocket-Accept: of another key\r\n\r\n',
      );
    },
  });
  const stream = open(client);
  expect((await responseTo(stream))[':status']).toBe(502);
  expect(JSON.parse((await buffer(stream)).toString())).toMatchObject({ code: 'upstream-invalid' });
});

/** An origin that says nothing more once it has accepted. */
function accepting() {
  const sockets: Duplex[] = [];
  const upgrade = (incoming: IncomingMessage, socket: Duplex): void => {
    acceptWebSocket(incoming, socket);
    sockets.push(socket);
  };
  return { sockets, upgrade };
}

test('a break goes through, either way', async () => {
  const { sockets, upgrade } = accepting();
  const { edge, client } = await started({ upgrade });
  const first = open(client);
  await responseTo(first);
  const gone = once(sockets[0] as Duplex, 'end');
  first.close(constants.NGHTTP2_CANCEL);
  await gone;
  const second = open(client);
  await responseTo(second);
  const ended = new Promise((resolve) => void second.once('close', resolve));
  (sockets[1] as Socket).resetAndDestroy();
  await ended;
  await expect.poll(() => edge.activity).toMatchObject({ tunnels: 0, requests: 0 });
});

test('beyond the limit of tunnels: 503, on the same connection as those that are open', async () => {
  const { upgrade } = accepting();
  const { client } = await started({ upgrade, limits: { maxTunnels: 1 } });
  const first = open(client);
  await responseTo(first);
  expect((await responseTo(open(client)))[':status']).toBe(503);
  first.write(masked(TEXT, 'on'));
  expect(await reads(first, 4)).toHaveLength(4);
});

test('a tunnel outlives what cuts a stalled stream, and ends by its own limit', async () => {
  const { upgrade } = accepting();
  const { client } = await started({
    upgrade,
    limits: { stalledMs: 50, keepAliveMs: 50 },
    site: { upstream: { tunnelIdleTimeoutMs: 600 } },
  });
  const stream = open(client);
  await responseTo(stream);
  const beganAt = performance.now();
  await new Promise((resolve) => void stream.once('close', resolve));
  expect(performance.now() - beganAt).toBeGreaterThan(500);
});

test('without a protocol CONNECT is refused: 405', async () => {
  const { client } = await started({});
  const stream = client.request({ ':method': 'CONNECT', ':authority': `${HOST}:443` });
  expect((await responseTo(stream))[':status']).toBe(405);
});
