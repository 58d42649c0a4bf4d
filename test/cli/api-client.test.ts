import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ApiClient } from '#cli/api-client.ts';

let server: Server;
let url: string;
let api: ApiClient;
let answer: (request: IncomingMessage, response: ServerResponse) => void;
let seen: string[];

beforeEach(async () => {
  seen = [];
  server = createServer((request, response) => {
    seen.push(`${request.method ?? ''} ${request.url ?? ''}`);
    answer(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  api = new ApiClient({ url, token: 'secret' });
});

afterEach(() => {
  server.closeAllConnections();
  server.close();
});

const json = (status: number, value: unknown) => (_: IncomingMessage, response: ServerResponse) =>
  void response
    .writeHead(status, { 'content-type': 'application/json' })
    .end(JSON.stringify(value));

const purge = (status: 'pending' | 'complete') => ({ id: 'p1', mode: 'hard', status, nodes: [] });

describe('errors', () => {
  test('a problem becomes the error it tells of', async () => {
    answer = json(409, { title: 'Conflict', detail: 'host a.test is taken', code: 'conflict' });
    await expect(api.putSite('a', {})).rejects.toMatchObject({
      code: 'conflict',
      message: 'host a.test is taken',
    });
  });

  test('a code that this version does not know', async () => {
    answer = json(418, { title: 'I am a teapot', code: 'teapot' });
    await expect(api.nodes()).rejects.toMatchObject({
      code: 'internal-error',
      message: 'I am a teapot',
    });
  });

  test('something else that speaks HTTP', async () => {
    answer = (_, response) => void response.end('<html>');
    await expect(api.nodes()).rejects.toMatchObject({ code: 'upstream-invalid' });
  });

  test('an answer without what the command needs', async () => {
    answer = json(200, { items: [{ name: 'edge-oslo' }], next: null });
    await expect(api.nodes()).rejects.toThrow(/answer of the control plane: items\.0\.tier/);
  });

  test('nobody there', async () => {
    server.close();
    await expect(api.nodes()).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining(`Cannot reach the control plane at ${url}`) as string,
    });
  });
});

describe('waitForPurge', () => {
  test('asks again while the time lasts, each time for at most a minute', async () => {
    answer = (request, response) =>
      json(200, purge(seen.length === 2 ? 'complete' : 'pending'))(request, response);
    expect((await api.waitForPurge('p1', 90_000)).status).toBe('complete');
    expect(seen).toHaveLength(2);
    expect(seen[0]).toBe('GET /v1/purges/p1?waitMs=60000');
  });

  test('gives up with what it knows', async () => {
    answer = json(200, purge('pending'));
    expect((await api.waitForPurge('p1', 5)).status).toBe('pending');
    expect(seen).toHaveLength(1);
  });
});

test('putObject streams the body with the token and its fields', async () => {
  let received: { body: string; headers: IncomingMessage['headers'] } | undefined;
  answer = (request, response) =>
    void text(request).then((body) => {
      received = { body, headers: request.headers };
      json(201, { path: '/a.css', etag: '"1"', size: 4, contentType: 'text/css' })(
        request,
        response,
      );
    });
  const headers = { 'content-type': 'text/css', 'content-length': '4' };
  const body = { content: Readable.from(['ab', 'cd']), headers };
  const { object, purge: id } = await api.putObject('default', '/a.css', body, true);
  expect([object.size, id]).toEqual([4, undefined]);
  expect(seen).toEqual(['PUT /v1/sites/default/objects/a.css']);
  expect(received?.body).toBe('abcd');
  expect(received?.headers).toMatchObject({ ...headers, authorization: 'Bearer secret' });
});
