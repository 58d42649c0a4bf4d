import { once } from 'node:events';
import { type ClientHttp2Session, connect, constants } from 'node:http2';
import { buffer } from 'node:stream/consumers';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { type Issued, TestAuthority } from './authority.ts';
import { HOST, TlsEdge } from './edge.ts';
import { Frames } from './frames.ts';

// What cuts those who hold on to what they do not use, with limits as small as a test needs them.

let root: TestAuthority;
let www: Issued;
beforeAll(async () => {
  root = await TestAuthority.create();
  www = await root.issue({ names: [HOST] });
});

async function started(options: Parameters<typeof TlsEdge.start>[0]): Promise<TlsEdge> {
  const edge = await TlsEdge.start(options);
  edge.certify('www', www);
  return edge;
}

const frames = async (edge: TlsEdge): Promise<Frames> =>
  Frames.begin(await edge.connect({ servername: HOST, ca: root.ca, ALPNProtocols: ['h2'] }), HOST);

async function session(edge: TlsEdge): Promise<ClientHttp2Session> {
  const client = connect(`https://127.0.0.1:${edge.port}`, { servername: HOST, ca: root.ca });
  client.on('error', () => undefined);
  onTestFinished(() => client.destroy());
  await once(client, 'connect');
  return client;
}

async function statusOf(client: ClientHttp2Session, path = '/'): Promise<unknown> {
  const stream = client.request({ ':path': path, ':authority': HOST });
  const [headers] = (await once(stream, 'response')) as [Record<string, unknown>];
  await buffer(stream);
  return headers[':status'];
}

test('a header section over TLS that drips: 408', async () => {
  const edge = await started({ limits: { headersTimeoutMs: 200 } });
  const client = await edge.connect({ servername: HOST, ca: root.ca });
  client.write(`GET / HTTP/1.1\r\nHost: ${HOST}\r\nX`);
  expect((await buffer(client)).toString()).toMatch(/^HTTP\/1\.1 408 /);
});

test('a stream of which the client takes nothing is reset, and others of the connection are not', async () => {
  const large = Buffer.alloc(500_000, 'x');
  const edge = await started({
    origin: (_, outgoing) => outgoing.setHeader('Cache-Control', 'max-age=60').end(large),
    limits: { stalledMs: 200 },
  });
  expect(await statusOf(await session(edge))).toBe(200);
  const client = await frames(edge);
  await client.shutWindow();
  await client.request();
  await client.request();
  await expect.poll(() => client.resetCodes).toHaveLength(2);
  await client.idle();
  expect(client.isClosed).toBe(false);
  expect(edge.activity?.requests).toBe(0);
});

test('a client that stops in the middle of its content is given up: 408', async () => {
  const limits = { minContentBytesPerSecond: 1_000_000, contentGraceMs: 100 };
  const edge = await started({
    limits,
    origin: (incoming, outgoing) => void incoming.resume().on('end', () => outgoing.end()),
  });
  const client = await session(edge);
  const stream = client.request({ ':method': 'POST', ':path': '/', ':authority': HOST });
  stream.write('a');
  const [headers] = (await once(stream, 'response')) as [Record<string, unknown>];
  expect(headers).toMatchObject({ ':status': 408, 'content-type': 'application/problem+json' });
  expect(JSON.parse((await buffer(stream)).toString())).toMatchObject({ code: 'request-timeout' });
  expect(await statusOf(client)).toBe(200);
});

test('content beyond what the site takes: 413, and the connection lives on', async () => {
  const edge = await started({ site: { limits: { maxContentBytes: 5 } } });
  const client = await session(edge);
  const stream = client.request({ ':method': 'POST', ':path': '/', ':authority': HOST });
  stream.on('error', () => undefined);
  stream.write('123456');
  const [headers] = (await once(stream, 'response')) as [Record<string, unknown>];
  expect(headers[':status']).toBe(413);
  expect(await statusOf(client)).toBe(200);
});

test('a connection without requests ends, whatever it pings', async () => {
  const edge = await started({ limits: { keepAliveMs: 200 } });
  const client = await frames(edge);
  while (!client.isClosed) await client.idle();
  expect(client.goawayCode).toBe(constants.NGHTTP2_NO_ERROR);
});

test('a connection with a header section that does not end ends', async () => {
  const edge = await started({ limits: { keepAliveMs: 200 } });
  const client = await frames(edge);
  await client.openHeaders();
  await client.closed();
  expect(client.isClosed).toBe(true);
});

test('one client may have so many requests under way, over all its connections: 429', async () => {
  const [held, came] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const edge = await started({
    limits: { maxRequestsPerClient: 1 },
    origin: (_, outgoing) => {
      came.resolve();
      void held.promise.then(() => outgoing.end());
    },
  });
  const first = statusOf(await session(edge), '/slow');
  await came.promise;
  const client = await session(edge);
  expect(await statusOf(client)).toBe(429);
  held.resolve();
  expect(await first).toBe(200);
  await expect.poll(() => statusOf(client)).toBe(200);
});

test('one client may have so many connections: the next one is cut before its handshake', async () => {
  const edge = await started({ limits: { maxConnectionsPerClient: 1 } });
  const client = await session(edge);
  await expect(edge.connect({ servername: HOST, ca: root.ca })).rejects.toThrow(
    /disconnected|RESET/,
  );
  expect(await statusOf(client)).toBe(200);
});

test('beyond 128 streams of a connection the next one is refused, and only that', async () => {
  const [held, came] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  let asked = 0;
  const edge = await started({
    origin: (_, outgoing) => {
      if (++asked === 128) came.resolve();
      void held.promise.then(() => outgoing.end());
    },
  });
  const client = await frames(edge);
  for (let i = 0; i < 128; i++) await client.request(`/${i}`);
  await came.promise;
  await client.request('/one-too-many');
  await client.idle();
  expect(client.resetCodes).toEqual([constants.NGHTTP2_REFUSED_STREAM]);
  held.resolve();
  await expect.poll(() => edge.activity?.requests).toBe(0);
  expect(asked).toBe(128);
});
