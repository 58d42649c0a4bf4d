import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { readShared } from '#core/serving/shared-reads.ts';

/** Both ends of a connection; the accepted one as `prepare` leaves it. */
async function connected(prepare: (accepted: Socket) => void): Promise<[Socket, Socket]> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const accepted = once(server, 'connection').then(([socket]) => {
    prepare(socket as Socket);
    return socket as Socket;
  });
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const both: [Socket, Socket] = [await accepted, client];
  server.close();
  return both;
}

test('on this Node bytes come in the shared buffer, and by data once that is asked for', async () => {
  const [shared, byData]: [string[], string[]] = [[], []];
  let isDone = false;
  let isShared = false;
  const [accepted, client] = await connected((socket) => {
    isShared = readShared(
      socket,
      (bytes, end) => shared.push(bytes.toString('latin1', 0, end)),
      () => isDone,
    );
    socket.on('data', (bytes: Buffer) => byData.push(bytes.toString()));
  });
  expect(isShared).toBe(true);
  client.write('one');
  await expect.poll(() => shared.join('')).toBe('one');
  isDone = true;
  client.write('two');
  await expect.poll(() => byData.join('')).toBe('two');
  expect(shared).toEqual(['one']);
  // Bytes that were given away are nobody else's.
  client.end('three');
  await once(accepted, 'end');
  expect(byData.join('')).toBe('twothree');
});

test('who does not read holds up the other side all the same', async () => {
  const [accepted, client] = await connected((socket) => {
    readShared(
      socket,
      () => undefined,
      () => true,
    );
  });
  client.write(Buffer.alloc(64 * 1024 * 1024));
  await expect.poll(() => accepted.readableLength).toBeGreaterThan(0);
  const held = accepted.readableLength;
  expect(held).toBeLessThan(1024 * 1024);
  let bytes = 0;
  for await (const chunk of accepted as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes === 64 * 1024 * 1024) break;
  }
  client.destroy();
});

test.each([
  ['bytes wait already', (socket: Socket) => socket.unshift(Buffer.from('a'))],
  ['it has none of the fields', (socket: Socket) => Object.assign(socket, { _handle: {} })],
])('a connection is left as it is where %s', async (_, prepare) => {
  let isShared = true;
  let handle: unknown;
  const [accepted, client] = await connected((socket) => {
    handle = (socket as unknown as { _handle: unknown })._handle;
    prepare(socket);
    isShared = readShared(
      socket,
      () => undefined,
      () => false,
    );
    Object.assign(socket, { _handle: handle });
  });
  expect(isShared).toBe(false);
  for (const socket of [accepted, client]) socket.destroy();
});
