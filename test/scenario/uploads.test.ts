import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { expect } from 'vitest';
import { RawClient } from './kit/raw.ts';
import { withRawOrigin } from './kit/raw-scenario.ts';
import { scenario, type World } from './kit/scenario.ts';

const MIB = 1024 * 1024;
const PIECE = Buffer.alloc(MIB, 'x');

/** A scenario whose origin handles requests as a test says. */
function withOrigin(
  name: string,
  handle: (incoming: IncomingMessage, outgoing: ServerResponse) => void,
  play: (world: World) => Promise<void>,
): void {
  scenario(name, async (world) => {
    const server = createServer(handle);
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    world.changeSite({ origin: { kind: 'pull', servers: [{ url: `http://127.0.0.1:${port}` }] } });
    try {
      await play(world);
    } finally {
      server.closeAllConnections();
      await new Promise((resolve) => void server.close(resolve));
    }
  });
}

const upload = (url: string) =>
  request(`${url}/a`, {
    method: 'PUT',
    headers: { Host: 'www.example.org', 'Content-Length': String(200 * MIB) },
  });

/** Writes pieces until the connection has taken none for 300 turns of the event loop; how many. */
async function writeUntilStalled(
  outgoing: ReturnType<typeof request>,
  most: number,
): Promise<number> {
  for (let written = 0; written < most; written++) {
    outgoing.write(PIECE);
    for (let turn = 0; turn < 300 && outgoing.writableNeedDrain; turn++) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    if (outgoing.writableNeedDrain) return written + 1;
  }
  return most;
}

let slow: IncomingMessage | undefined;
withOrigin(
  'a slow origin slows the client, and 200 MB go through in little memory',
  (incoming, outgoing) => {
    slow = incoming;
    let bytes = 0;
    incoming.on('data', (chunk: Buffer) => (bytes += chunk.length));
    incoming.pause();
    incoming.on('end', () => outgoing.end(String(bytes)));
  },
  async ({ edge }) => {
    const outgoing = upload(edge().url);
    const answered = once(outgoing, 'response');
    const before = process.memoryUsage().rss;
    const written = await writeUntilStalled(outgoing, 200);
    expect(written).toBeLessThan(64);
    slow?.resume();
    let peak = before;
    for (let i = written; i < 200; i++) {
      if (!outgoing.write(PIECE)) await once(outgoing, 'drain');
      peak = Math.max(peak, process.memoryUsage().rss);
    }
    outgoing.end();
    const [incoming] = (await answered) as [IncomingMessage];
    expect(await text(incoming)).toBe(String(200 * MIB));
    expect(peak - before).toBeLessThan(150 * MIB);
  },
);

withOrigin(
  'an origin that refuses an upload at once is heard while the client still sends',
  (_, outgoing) => outgoing.writeHead(413).end('too much'),
  async ({ edge }) => {
    const client = new RawClient(edge().url);
    client.send('PUT /a HTTP/1.1\r\nHost: www.example.org\r\nContent-Length: 16777216\r\n\r\n');
    client.send('x'.repeat(MIB));
    expect(await client.answer()).toMatchObject({
      status: 413,
      body: 'too much',
      headers: { connection: 'close' },
    });
    // The rest is read and dropped, not answered by a reset.
    await client.finish('x'.repeat(15 * MIB));
  },
);

const aborted = Promise.withResolvers<void>();
withOrigin(
  'a client that gives up its upload gives it up at the origin',
  (incoming) => {
    incoming.on('error', () => aborted.resolve());
    incoming.resume();
  },
  async ({ edge }) => {
    const outgoing = upload(edge().url);
    outgoing.on('error', () => undefined);
    outgoing.write(PIECE);
    await once(outgoing, 'drain');
    outgoing.destroy();
    await aborted.promise;
  },
);

withOrigin(
  'chunks are passed on as chunks, a length as a length',
  (incoming, outgoing) => {
    const { 'transfer-encoding': coding, 'content-length': length } = incoming.headers;
    void text(incoming).then((content) =>
      outgoing.end(JSON.stringify({ coding, length, content, method: incoming.method })),
    );
  },
  async ({ edge }) => {
    const base = 'HTTP/1.1\r\nHost: www.example.org\r\n';
    const rows = [
      [
        `POST /a ${base}Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n`,
        { method: 'POST', coding: 'chunked', content: 'hi' },
      ],
      [
        `PATCH /a ${base}Content-Length: 2\r\n\r\nhi`,
        { method: 'PATCH', length: '2', content: 'hi' },
      ],
      [`POST /a ${base}Content-Length: 0\r\n\r\n`, { method: 'POST', length: '0', content: '' }],
      [`DELETE /a ${base}\r\n`, { method: 'DELETE', content: '' }],
      [
        `DELETE /a ${base}Content-Length: 2\r\n\r\nhi`,
        { method: 'DELETE', length: '2', content: 'hi' },
      ],
    ] as const;
    for (const [sent, expected] of rows) {
      const client = new RawClient(edge().url).send(sent);
      expect(JSON.parse((await client.answer()).body)).toEqual(expected);
      client.socket.destroy();
    }
  },
);

withRawOrigin(
  'an upload that was begun is not sent to another parent',
  (socket) => socket.destroy(),
  async ({ edge }, origin) => {
    const client = new RawClient(edge().url);
    client.send('PUT /a HTTP/1.1\r\nHost: www.example.org\r\nContent-Length: 16777216\r\n\r\n');
    client.send('x'.repeat(MIB));
    expect(await client.answer()).toMatchObject({ status: 502 });
    await client.finish('x'.repeat(15 * MIB));
    expect(origin.requests).toHaveLength(1);
  },
);

withOrigin(
  'a client that takes its time over an upload is not taken for a slow origin',
  // A connection that is cut when all is over is nothing to the test.
  (incoming, outgoing) =>
    void text(incoming).then(
      (content) => outgoing.end(content),
      () => undefined,
    ),
  async ({ edge, clock }) => {
    const client = new RawClient(edge().url);
    client.send('PUT /a HTTP/1.1\r\nHost: www.example.org\r\nTransfer-Encoding: chunked\r\n\r\n');
    for (let i = 0; i < 3; i++) {
      client.send('2\r\nhi\r\n');
      await turns(50);
      clock.advance('60s');
    }
    client.send('0\r\n\r\n');
    expect(await client.answer()).toMatchObject({ status: 200, body: 'hihihi' });
    client.socket.destroy();
  },
);

withOrigin(
  'an origin that stops taking an upload is given up: 504',
  (incoming) => void incoming.pause(),
  async ({ edge, clock }) => {
    const outgoing = upload(edge().url);
    outgoing.on('error', () => undefined);
    const answered = once(outgoing, 'response');
    await writeUntilStalled(outgoing, 200);
    clock.advance('11s');
    const [incoming] = (await answered) as [IncomingMessage];
    expect(incoming.statusCode).toBe(504);
    outgoing.destroy();
  },
);

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
}
