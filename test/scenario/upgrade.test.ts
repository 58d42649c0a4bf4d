import { createServer, request } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { Clients } from '#core/serving/clients/clients.ts';
import { DEFAULT_LIMITS } from '#core/serving/clients/limits.ts';
import { listen } from '#core/serving/listener.ts';
import { RawClient } from './kit/raw.ts';
import { withRawOrigin } from './kit/raw-scenario.ts';
import { acceptWebSocket } from './kit/websocket.ts';
import { scenario } from './kit/scenario.ts';

const ASK =
  'GET /chat HTTP/1.1\r\nHost: www.example.org\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n';
const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n';

scenario('a WebSocket through both tiers', async ({ edge, midTier, changeSite }) => {
  const server = createServer();
  const upgrades: string[] = [];
  server.on('upgrade', (incoming, socket) => {
    upgrades.push(String(incoming.headers['x-forwarded-host']));
    acceptWebSocket(incoming, socket);
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  changeSite({
    hosts: ['*'],
    origin: { kind: 'pull', servers: [{ url: `http://127.0.0.1:${port}` }] },
  });
  const client = new WebSocket(`${edge().url.replace('http', 'ws')}/chat`);
  const opened = once(client, 'open');
  await opened;
  for (const text of ['one', 'two']) {
    const answered = once(client, 'message');
    client.send(text);
    expect(((await answered) as [MessageEvent])[0].data).toBe(text);
  }
  const closed = once(client, 'close');
  client.close(1000);
  expect(((await closed) as [CloseEvent])[0].wasClean).toBe(true);
  expect(upgrades).toEqual([new URL(edge().url).hostname]);
  for (const { node } of [edge(), midTier()]) {
    await expect.poll(() => node.counters.decided('pass', 'upgrade')).toBe(1);
    expect(node.load()).toMatchObject({ objects: 0, upstreamRequests: 1 });
  }
  await new Promise((resolve) => void server.close(resolve));
});

withRawOrigin(
  'what either side sends along with the handshake is not lost',
  (socket) => socket.write(`${SWITCH}early`),
  async ({ edge }, origin) => {
    const client = new RawClient(edge().url).send(`${ASK}eager\r\n\r\n`);
    const answer = await client.answer();
    expect(answer).toMatchObject({
      status: 101,
      headers: { upgrade: 'echo', connection: 'Upgrade', via: '1.1 frankfurt, 1.1 oslo' },
    });
    expect(await client.bytes(5)).toBe('early');
    await expect.poll(() => origin.requests[1]).toBe('eager');
    expect(origin.requests[0]).toMatch(/Connection: Upgrade\r\nUpgrade: echo/);
    expect(origin.requests[0]).not.toMatch(/Canopy-/);
    client.socket.destroy();
  },
);

withRawOrigin(
  'a side that has ended may still be sent to',
  (socket, received) => {
    if (received.startsWith('GET')) socket.write(SWITCH);
    // RawOrigin ends its side only when the other has ended.
    else socket.write('after the end');
  },
  async ({ edge }) => {
    const client = new RawClient(edge().url).send(ASK);
    expect(await client.answer()).toMatchObject({ status: 101 });
    client.socket.end('last words\r\n\r\n');
    expect(await client.closed()).toBe('after the end');
  },
);

withRawOrigin(
  'an origin that has ended may still be sent to',
  (socket, received) => {
    if (received.startsWith('GET')) socket.end(`${SWITCH}bye`);
  },
  async ({ edge }, origin) => {
    const client = new RawClient(edge().url).send(ASK);
    expect(await client.answer()).toMatchObject({ status: 101 });
    expect(await client.bytes(100)).toBe('bye');
    await client.finish('still here\r\n\r\n');
    await expect.poll(() => origin.requests[1]).toBe('still here');
  },
);

withRawOrigin(
  'a refused upgrade is passed on as the answer that it is',
  (socket) => socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nX-Why: key\r\n\r\nno'),
  async ({ edge }, origin) => {
    const client = new RawClient(edge().url).send(ASK);
    expect(await client.answer()).toMatchObject({
      status: 403,
      body: 'no',
      headers: { 'x-why': 'key', connection: 'close' },
    });
    expect(await client.closed()).toBe('');
    expect(origin.requests).toHaveLength(1);
  },
);

withRawOrigin(
  'a refusal larger than any buffer comes whole',
  (socket) =>
    socket.end(`HTTP/1.1 403 Forbidden\r\nContent-Length: 3000000\r\n\r\n${'x'.repeat(3_000_000)}`),
  async ({ edge }) => {
    const client = new RawClient(edge().url).send(ASK);
    expect((await client.answer()).body).toHaveLength(3_000_000);
    client.socket.destroy();
  },
);

withRawOrigin(
  'an upgrade whose parent dies after it was sent is not tried again',
  (socket) => socket.destroy(),
  async ({ edge }, origin) => {
    const client = new RawClient(edge().url).send(ASK);
    expect(await client.answer()).toMatchObject({ status: 502 });
    await client.closed();
    expect(origin.requests).toHaveLength(1);
  },
);

withRawOrigin(
  'an upgrade goes to the next parent where the first cannot be reached',
  (socket) => socket.write(SWITCH),
  async ({ edge, midTier }) => {
    await midTier().down();
    const client = new RawClient(edge().url).send(ASK);
    expect(await client.answer()).toMatchObject({ status: 101, headers: { via: '1.1 oslo' } });
    client.socket.destroy();
  },
);

withRawOrigin(
  'a tunnel in which nothing moves is cut, one in which something does is not',
  (socket, received) => {
    if (received !== 'silent') socket.write(received.startsWith('GET') ? SWITCH : 'pong');
  },
  async ({ edge, clock }, origin) => {
    const client = new RawClient(edge().url).send(ASK);
    expect(await client.answer()).toMatchObject({ status: 101 });
    for (let i = 0; i < 3; i++) {
      clock.advance('100s');
      client.send('ping\r\n\r\n');
      expect(await client.bytes(4)).toBe('pong');
    }
    // One way is enough.
    clock.advance('100s');
    client.send('silent\r\n\r\n');
    await expect.poll(() => origin.requests.at(-1)).toBe('silent');
    clock.advance('100s');
    client.send('ping\r\n\r\n');
    expect(await client.bytes(4)).toBe('pong');
    clock.advance('121s');
    expect(await client.closed()).toBe('');
  },
);

withRawOrigin(
  'an origin that breaks the tunnel breaks it for the client',
  (socket, received) => {
    if (received.startsWith('GET')) socket.write(SWITCH);
    else socket.resetAndDestroy();
  },
  async ({ edge }) => {
    const client = new RawClient(edge().url).send(ASK);
    await client.answer();
    client.send('x\r\n\r\n');
    expect(await client.closed()).toBe('');
  },
);

withRawOrigin(
  'a client that leaves takes the tunnel with it',
  (socket) => socket.write(SWITCH),
  async ({ edge }, origin) => {
    const client = new RawClient(edge().url).send(ASK);
    await client.answer();
    client.socket.resetAndDestroy();
    await expect.poll(() => origin.connections).toBe(0);
  },
);

withRawOrigin(
  'tunnels are closed when the node drains',
  (socket) => socket.write(SWITCH),
  async ({ edge }, origin) => {
    const client = new RawClient(edge().url).send(ASK);
    await client.answer();
    await edge().down();
    expect(await client.closed()).toBe('');
    await expect.poll(() => origin.connections).toBe(0);
  },
);

scenario('a slow reader slows the sender, both ways', async ({ edge, changeSite }) => {
  const accepted = Promise.withResolvers<Duplex>();
  const server = createServer();
  server.on('upgrade', (_, socket: Socket) => {
    socket.on('error', () => undefined);
    socket.write(SWITCH);
    socket.pause();
    accepted.resolve(socket);
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  changeSite({ origin: { kind: 'pull', servers: [{ url: `http://127.0.0.1:${port}` }] } });
  const asked = request(`${edge().url}/chat`, {
    headers: { Host: 'www.example.org', Connection: 'Upgrade', Upgrade: 'echo' },
  });
  asked.end();
  const [, client] = (await once(asked, 'upgrade')) as [unknown, Socket];
  client.pause();
  const origin = await accepted.promise;
  for (const [writer, reader] of [
    [client, origin],
    [origin, client],
  ] as const) {
    // Nobody reads: writing stalls once every buffer on the way is full, and no sooner than that
    // does memory stop growing.
    const piece = Buffer.alloc(1024 * 1024, 'x');
    const before = process.memoryUsage().rss;
    let written = 0;
    while (written < 256 && (await writes(writer, piece))) written++;
    expect(written).toBeLessThan(64);
    expect(process.memoryUsage().rss - before).toBeLessThan(200 * 1024 * 1024);
    let received = 0;
    const all = new Promise<void>((resolve) => {
      reader.on('data', (chunk: Buffer) => {
        received += chunk.length;
        if (received === (written + 1) * piece.length) resolve();
      });
    });
    reader.resume();
    await all;
    reader.pause();
  }
  client.destroy();
  origin.destroy();
  await new Promise((resolve) => void server.close(resolve));
});

/** Whether a piece is taken; not, if the other writes of the event loop's next 200 turns do not make room. */
async function writes(stream: Duplex, piece: Buffer): Promise<boolean> {
  stream.write(piece);
  for (let turn = 0; turn < 200 && stream.writableNeedDrain; turn++) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  return !stream.writableNeedDrain;
}

test('beyond the limit of tunnels an upgrade is refused: 503', async () => {
  const held = Promise.withResolvers<void>();
  const came = Promise.withResolvers<void>();
  const listener = await listen({
    host: '127.0.0.1',
    port: 0,
    clients: new Clients({ ...DEFAULT_LIMITS, maxTunnels: 1 }),
    handle: () => {
      came.resolve();
      return held.promise;
    },
    onError: () => undefined,
  });
  const first = new RawClient(listener.url).send(ASK);
  await came.promise;
  const second = new RawClient(listener.url).send(ASK);
  expect(await second.answer()).toMatchObject({ status: 503, headers: { connection: 'close' } });
  expect(await second.closed()).toBe('');
  held.resolve();
  first.socket.destroy();
  await listener.close(0);
});
