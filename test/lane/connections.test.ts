import { connect, type Socket } from 'node:net';
import { expect } from 'vitest';
import { ThreadLog } from '#core/telemetry/access-log/thread-log.ts';
import { scenario } from '#test/scenario/kit/scenario.ts';
import { until } from '#test/scenario/kit/until.ts';
import { END, exchanged, get, HOST, withEdge } from './kit.ts';

// Connections on which the lane answers are those of the listener in all else.

/** A client that reads only when it is told to. */
async function paused(port: number): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port });
  await new Promise((resolve) => void socket.once('connect', resolve));
  return socket;
}

async function bytesOf(socket: Socket, least = Infinity): Promise<number> {
  let bytes = 0;
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    bytes += (chunk as Buffer).length;
    if (bytes >= least) break;
  }
  return bytes;
}

async function textOf(socket: Socket): Promise<string> {
  let all = '';
  for await (const chunk of socket as AsyncIterable<Buffer>) all += chunk.toString('latin1');
  return all;
}

const LARGE = 300_000;

scenario('who does not read is answered no more, until it does', (world) =>
  withEdge(world, async ({ lane, withLane }) => {
    const socket = await paused(withLane.port);
    socket.write(get('/large').repeat(100));
    await until(() => lane.answered > 0);
    const [answered] = [lane.answered];
    expect(answered).toBeLessThan(100);
    await bytesOf(socket, 100 * LARGE);
    expect(lane.answered).toBe(100);
    socket.destroy();
  }),
);

scenario('connections are counted once, whoever answers on them', (world) =>
  withEdge(world, async ({ withLane }) => {
    const socket = await paused(withLane.port);
    const counted = (): readonly number[] => {
      const { connections, accepted, requests } = withLane.activity();
      return [connections, accepted, requests];
    };
    await until(() => withLane.activity().connections === 1);
    socket.write(get('/a'));
    await bytesOf(socket, 1);
    expect(counted()).toEqual([1, 1, 0]);
    socket.write(get('/private'));
    await bytesOf(socket, 1);
    await until(() => withLane.activity().requests === 0);
    socket.write(get('/a'));
    await bytesOf(socket, 1);
    expect(counted()).toEqual([1, 1, 0]);
    socket.destroy();
    await until(() => withLane.activity().connections === 0);
    expect(counted()).toEqual([0, 1, 0]);
  }),
);

scenario('a drain ends idle connections, and waits for who has not got all of an answer', (world) =>
  withEdge(world, async ({ lane, withLane }) => {
    const [idle, both, slow, slowBoth] = await Promise.all(
      Array.from({ length: 4 }, () => paused(withLane.port)),
    );
    for (const socket of [both, slowBoth]) {
      socket?.write(get('/private'));
      await bytesOf(socket as Socket, 1);
    }
    idle?.write(get('/a'));
    await bytesOf(idle as Socket, 1);
    for (const socket of [slow, slowBoth]) socket?.write(get('/large').repeat(40));
    await until(() => lane.answered >= 3);
    const drained = withLane.close(60_000);
    expect(await Promise.all([idle, both].map((socket) => bytesOf(socket as Socket)))).toEqual([
      0, 0,
    ]);
    const rest = await Promise.all([slow, slowBoth].map((socket) => bytesOf(socket as Socket)));
    // Answers of which the last is whole, for whatever was begun is.
    for (const bytes of rest) {
      expect(bytes).toBeGreaterThan(LARGE);
      expect(bytes % LARGE).toBeLessThan(40 * 400);
    }
    await drained;
  }),
);

scenario('a request that is cut off is refused, on a new connection and on one in use', (world) =>
  withEdge(world, async ({ withLane }) => {
    for (const before of ['', get('/a'), get('/private')]) {
      const socket = connect({ host: '127.0.0.1', port: withLane.port, allowHalfOpen: true });
      if (before !== '') {
        socket.write(before);
        await bytesOf(socket, 1);
      }
      socket.end(`GET /a HTTP/1.1\r\n${HOST}`);
      expect(await textOf(socket)).toMatch(/HTTP\/1\.1 400 Bad Request/);
    }
  }),
);

scenario(
  'who asks nothing is told so, and who is idle after an answer is let go, in their time',
  (world) =>
    withEdge(world, async ({ lane, withLane }) => {
      const { clock } = world;
      const [silent, idle] = await Promise.all([paused(withLane.port), paused(withLane.port)]);
      const said = textOf(silent);
      await until(() => withLane.activity().connections === 2);
      idle.write(get('/a'));
      await bytesOf(idle, 1);
      clock.advance('15s');
      expect(withLane.activity().connections).toBe(2);
      clock.advance('1s');
      expect(await said).toMatch(/^HTTP\/1\.1 408 /);
      await until(() => withLane.activity().connections === 1);
      // What it asks meanwhile puts it off.
      clock.advance('50s');
      idle.write(get('/a'));
      await bytesOf(idle, 1);
      clock.advance('75s');
      idle.write(get('/a'));
      await bytesOf(idle, 1);
      expect(lane.answered).toBe(3);
      clock.advance('76s');
      expect(await bytesOf(idle)).toBe(0);
      await until(() => withLane.activity().connections === 0);
    }),
);

scenario('who takes an answer slowly is not idle', (world) =>
  withEdge(world, async ({ lane, withLane }) => {
    const socket = await paused(withLane.port);
    socket.write(get('/large').repeat(40));
    await until(() => lane.answered > 0);
    world.clock.advance('10m');
    expect(await bytesOf(socket, 40 * LARGE)).toBeGreaterThanOrEqual(40 * LARGE);
    socket.destroy();
  }),
);

scenario('a head that comes slowly is for node:http, which answers it once it is whole', (world) =>
  withEdge(world, async ({ lane, withLane, without }) => {
    const request = get('/a') + END;
    for (const before of ['', get('/a'), get('/private')]) {
      const socket = await paused(withLane.port);
      if (before !== '') {
        socket.write(before);
        await bytesOf(socket, 1);
      }
      socket.write(request.slice(0, 10));
      await until(() => lane.verdicts.at(-1) === 'incomplete');
      const { answered } = lane;
      world.clock.advance('1s');
      world.clock.advance('1s');
      socket.write(request.slice(10));
      expect(await textOf(socket)).toBe(await exchanged(without, request));
      expect(lane.answered).toBe(answered);
      lane.verdicts.push('foreign');
    }
  }),
);

scenario('the access log has the same of a request, by the lane and without it', (world) =>
  withEdge(world, async ({ lane, withLane, without }) => {
    const lines: string[] = [];
    const log = new ThreadLog({
      content: { format: 'json', sample: 1, addresses: 'whole', mask: [] },
      node: 'oslo',
      post: ({ memory, bytes }) => lines.push(Buffer.from(memory, 0, bytes).toString()),
    });
    Object.assign(world.edge().node, { accessLog: log });
    const fields = 'User-Agent: curl\r\nReferer: /r\r\nX-Request-Id: 7\r\n';
    for (const request of [get('/a', fields), get('/a', 'If-None-Match: "1"\r\n')]) {
      for (const listener of [withLane, without]) {
        const socket = await paused(listener.port);
        socket.write(request);
        await bytesOf(socket, 1);
        socket.destroy();
        log.flush();
      }
    }
    expect(lane.answered).toBe(2);
    expect(lines.length).toBe(4);
    expect([lines[0], lines[2]]).toEqual([lines[1], lines[3]]);
    Object.assign(world.edge().node, { accessLog: undefined });
  }),
);
