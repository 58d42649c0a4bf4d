import { once } from 'node:events';
import { connect as connectNet, createServer, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { Clients } from '#core/serving/clients/clients.ts';
import { type ClientLimits, DEFAULT_LIMITS } from '#core/serving/clients/limits.ts';
import type { Exchange } from '#core/serving/exchange.ts';
import { lingers } from '#core/serving/linger.ts';
import { listen } from '#core/serving/listener.ts';
import { RawClient } from '#test/scenario/kit/raw.ts';

// Limits are as small as a test needs them: nothing here waits for longer than that.

const ASK = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';

async function started(
  limits: Partial<ClientLimits>,
  handle = (exchange: Exchange): Promise<void> =>
    exchange.respond(200, [], []).then(() => undefined),
) {
  const clients = new Clients({ ...DEFAULT_LIMITS, ...limits });
  const listener = await listen({
    host: '127.0.0.1',
    port: 0,
    handle,
    onError: () => undefined,
    clients,
  });
  onTestFinished(() => listener.close(0));
  return listener;
}

test('one client may have so many connections; the next one is told: 429', async () => {
  const { url } = await started({ maxConnectionsPerClient: 1 });
  const first = new RawClient(url).send(ASK);
  expect(await first.answer()).toMatchObject({ status: 200 });
  const second = new RawClient(url);
  const answer = await second.answer();
  expect(answer).toMatchObject({
    status: 429,
    headers: {
      'retry-after': '1',
      connection: 'close',
      'content-type': 'application/problem+json',
    },
  });
  expect(JSON.parse(answer.body)).toMatchObject({ code: 'too-many-requests', retrySafe: true });
  expect(await second.closed()).toBe('');
  first.send(ASK);
  expect(await first.answer()).toMatchObject({ status: 200 });
});

test('all clients together may have so many connections; the next one is told: 503', async () => {
  const { url } = await started({ maxConnections: 1 });
  const first = new RawClient(url).send(ASK);
  expect(await first.answer()).toMatchObject({ status: 200 });
  const second = new RawClient(url);
  expect(await second.answer()).toMatchObject({ status: 503, headers: { 'retry-after': '1' } });
  await second.closed();
  const ended = once(first.socket, 'close');
  first.socket.destroy();
  await ended;
  await expect.poll(() => new RawClient(url).send(ASK).answer()).toMatchObject({ status: 200 });
});

test('one client may have so many requests under way: 429, and the connection lives on', async () => {
  const [held, came] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const { url } = await started({ maxRequestsPerClient: 1 }, async (exchange) => {
    came.resolve();
    await held.promise;
    await exchange.respond(200, ['Content-Length', '0'], []);
  });
  const first = new RawClient(url).send(ASK);
  await came.promise;
  const second = new RawClient(url).send(ASK);
  expect(await second.answer()).toMatchObject({ status: 429, headers: { 'retry-after': '1' } });
  held.resolve();
  expect(await first.answer()).toMatchObject({ status: 200 });
  second.send(ASK);
  expect(await second.answer()).toMatchObject({ status: 200 });
});

test('a header section that drips: 408', async () => {
  const { url } = await started({ headersTimeoutMs: 200 });
  const client = new RawClient(url).send('GET / HTTP/1.1\r\nHost: a\r\nX');
  expect(await client.answer()).toMatchObject({
    status: 408,
    headers: { 'content-type': 'application/problem+json' },
  });
  await client.closed();
});

test('an idle connection is closed', async () => {
  const { url } = await started({ keepAliveMs: 100 });
  const client = new RawClient(url).send(ASK);
  expect(await client.answer()).toMatchObject({ status: 200 });
  expect(await client.closed()).toBe('');
});

test('a connection on which nothing moves in the middle of a message is cut', async () => {
  const { url } = await started({ stalledMs: 100 }, async (exchange) => {
    for await (const _ of exchange.content);
  });
  const client = new RawClient(url);
  client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc');
  expect(await client.closed()).toBe('');
});

test('who goes on sending after the answer is cut in the end', async () => {
  const server = createServer({ allowHalfOpen: true }, (socket: Socket) => {
    lingers(socket, { silentMs: 60_000, mostMs: 100 });
    socket.resume();
    socket.destroySoon();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const client = connectNet({ port, host: '127.0.0.1', allowHalfOpen: true });
  client.on('error', () => undefined);
  client.resume();
  // A byte for each that has been taken.
  const drip = (): void => void (client.destroyed || client.write('x', () => setImmediate(drip)));
  drip();
  await new Promise((resolve) => void client.once('close', resolve));
  expect(client.destroyed).toBe(true);
});
