import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '#core/clock.ts';
import { upstreamSettingsSchema } from '#core/contract/site.ts';
import { type Attempt, Connections, type UpstreamResponse } from '#core/tree/attempt.ts';

type End = Parameters<Attempt['onEnd']>[0];

const WHOLE = 'all of it';
let server: Server;
let connections: Connections;

beforeAll(async () => {
  server = createServer((request, response) => {
    response.setHeader('Content-Length', WHOLE.length);
    if (request.url === '/whole') response.end(WHOLE);
    else response.write(WHOLE.slice(0, 3), () => request.url === '/cut' && response.destroy());
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  connections = new Connections(systemClock);
});

afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await connections.close();
});

const readWhole = async ({ body }: UpstreamResponse): Promise<void> => {
  for await (const _ of body);
};
const readFirst = async ({ body }: UpstreamResponse): Promise<void> => {
  for await (const _ of body) break;
};

test.each<[what: string, target: string, (response: UpstreamResponse) => unknown, End]>([
  ['read to its end', '/whole', readWhole, 'complete'],
  ['cut short', '/cut', (response) => readWhole(response).catch(() => undefined), 'reset'],
  ['discarded', '/stops', (response) => response.discard(), 'given-up'],
  ['left by its reader', '/stops', readFirst, 'given-up'],
])('a body %s', async (_, target, takes, expected) => {
  for (const expectsContinue of [false, true]) {
    const ended = Promise.withResolvers<End>();
    const response = await connections.send(attempt(target, expectsContinue, ended.resolve));
    await takes(response);
    expect({ expectsContinue, end: await ended.promise }).toEqual({
      expectsContinue,
      end: expected,
    });
  }
});

/** @param expectsContinue so that it goes on a connection of its own */
function attempt(target: string, expectsContinue: boolean, onEnd: (end: End) => void): Attempt {
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    parent: { name: 'parent', url, tier: 'mid-tier' },
    method: 'GET',
    target,
    fields: ['Host', 'a.test'],
    content: undefined,
    settings: upstreamSettingsSchema.parse({}),
    firstByteMs: 10_000,
    signal: undefined,
    expectsContinue,
    onEnd,
  };
}
