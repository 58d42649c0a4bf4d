import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { open } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { BodyFiles } from '#origin/body-files.ts';
import { bodiesDir, openDiskStore } from '#origin/disk-store.ts';
import { bodyNames, PUBLISH_KEY, quiet, startTestOrigin, type TestOrigin } from './support.ts';
import { eventually } from '#test/eventually.ts';

describe('PUT', () => {
  test('creates, then replaces, and tells what is stored', async () => {
    const { api, get } = await startTestOrigin();
    const created = await api('PUT', '/dir/a%2db.css', 'p {}', { 'Cache-Control': 'max-age=9' });
    expect(created.status).toBe(201);
    const stored = created.json() as Record<string, unknown>;
    expect(stored).toEqual({
      path: '/dir/a-b.css',
      etag: created.headers['etag'],
      size: 4,
      contentType: 'text/css; charset=utf-8',
      cacheControl: 'max-age=9',
      lastModified: 'Thu, 01 Jan 2026 00:00:00 GMT',
    });
    const replaced = await api('PUT', '/dir/a-b.css', 'h1 {}', { 'Content-Type': 'text/x' });
    expect(replaced.status).toBe(200);
    const served = await get('/dir/a-b.css');
    expect(served.text).toBe('h1 {}');
    expect(served.headers['content-type']).toBe('text/x');
    expect(served.headers['cache-control']).toBeUndefined();
    expect(served.headers['etag']).not.toBe(stored['etag']);
  });

  test.each<[condition: string, headers: (etag: string) => Record<string, string>, status: number]>(
    [
      ['If-None-Match: * of something', () => ({ 'If-None-Match': '*' }), 412],
      ['If-Match: what is there', (etag) => ({ 'If-Match': etag }), 200],
      ['If-Match: something else', () => ({ 'If-Match': '"x"' }), 412],
      [
        'If-Unmodified-Since: before',
        () => ({ 'If-Unmodified-Since': 'Wed, 31 Dec 2025 00:00:00 GMT' }),
        412,
      ],
    ],
  )('RFC 9110 §13.1 %s', async (_condition, headers, status) => {
    const { api } = await startTestOrigin();
    const { headers: stored } = await api('PUT', '/a', 'old');
    const answer = await api('PUT', '/a', 'new', headers(String(stored['etag'])));
    expect(answer.status).toBe(status);
    expect((await api('GET', '/a')).text).toBe(status === 412 ? 'old' : 'new');
  });

  test('RFC 9110 §13.1.1, §13.1.2 conditions on what is not there', async () => {
    const { api } = await startTestOrigin();
    expect((await api('PUT', '/a', 'x', { 'If-Match': '*' })).status).toBe(412);
    expect((await api('PUT', '/a', 'x', { 'If-None-Match': '*' })).status).toBe(201);
  });

  test('of two that expect nothing there, one wins', async () => {
    const { api } = await startTestOrigin();
    const put = (body: string) => api('PUT', '/a', body, { 'If-None-Match': '*' });
    const answers = await Promise.all(['1', '2', '3', '4'].map(put));
    const created = answers.filter(({ status }) => status === 201);
    expect(created).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 412)).toHaveLength(3);
    expect((await api('HEAD', '/a')).headers['etag']).toBe(created[0]?.headers['etag']);
  });

  test.each<[source: string, headers: Record<string, string>]>([
    ['RFC 9110 §14.5', { 'Content-Range': 'bytes 0-0/5' }],
    ['RFC 9110 §9.3.4', { 'Content-Encoding': 'gzip' }],
  ])('%s: refuses what would be stored as something else', async (_source, headers) => {
    const { api } = await startTestOrigin();
    expect((await api('PUT', '/a', 'x', headers)).status).toBe(400);
    expect((await api('GET', '/a')).status).toBe(404);
  });

  test('says that the disk is full', async () => {
    class FullDisk extends BodyFiles {
      protected override create() {
        return open('/dev/full', 'w');
      }
    }
    const { api, dir } = await startTestOrigin(({ dir: at, clock }) =>
      openDiskStore({ dir: at, clock, log: quiet, bodies: new FullDisk(bodiesDir(at)) }),
    );
    const { status, headers, json } = await api('PUT', '/a', 'x'.repeat(100_000));
    expect(status).toBe(507);
    expect(headers['content-type']).toBe('application/problem+json');
    expect(json()).toMatchObject({ code: 'insufficient-storage', retrySafe: true });
    expect(await bodyNames(dir)).toEqual([]);
  });

  test.each<[how: string, framing: string, end: (socket: Socket) => void]>([
    ['the client resets', 'Content-Length: 100', (socket) => socket.resetAndDestroy()],
    ['the client ends before Content-Length', 'Content-Length: 100', (socket) => socket.end()],
    [
      'the client ends before the last chunk',
      'Transfer-Encoding: chunked',
      (socket) => socket.end(),
    ],
  ])('changes nothing when %s', async (_how, framing, end) => {
    const { api, dir, port } = await startTestOrigin();
    const { headers } = await api('PUT', '/a', 'old');
    const [kept] = await bodyNames(dir);
    const socket = connect(port, '127.0.0.1');
    socket.write(
      `PUT /v1/sites/shop/objects/a HTTP/1.1\r\nHost: x\r\n` +
        `Authorization: Bearer ${PUBLISH_KEY}\r\n${framing}\r\n\r\n3\r\nnew\r\n`,
    );
    await eventually(async () => expect(await bodyNames(dir)).toHaveLength(2));
    end(socket);
    await eventually(async () => expect(await bodyNames(dir)).toEqual([kept]));
    const after = await api('GET', '/a');
    expect(after).toMatchObject({ text: 'old', headers: { etag: headers['etag'] } });
    socket.destroy();
  });
});

describe('GET, HEAD, DELETE', () => {
  test('of one object', async () => {
    const { api } = await startTestOrigin();
    await api('PUT', '/a.txt', 'hello');
    expect(await api('GET', '/a.txt')).toMatchObject({ status: 200, text: 'hello' });
    expect(await api('HEAD', '/a.txt')).toMatchObject({ status: 200, text: '' });
    expect((await api('DELETE', '/a.txt', undefined, { 'If-Match': '"x"' })).status).toBe(412);
    expect(await api('DELETE', '/a.txt')).toMatchObject({ status: 204, text: '' });
    expect((await api('DELETE', '/a.txt')).status).toBe(404);
    expect((await api('GET', '/a.txt')).status).toBe(404);
  });

  test('mean the object itself, not its index.html', async () => {
    const { api } = await startTestOrigin();
    await api('PUT', '/dir/index.html', 'index');
    expect((await api('GET', '/dir/')).status).toBe(404);
  });

  test('other methods are not allowed', async () => {
    const { api } = await startTestOrigin();
    const { status, headers } = await api('POST', '/a', 'x');
    expect(status).toBe(405);
    expect(headers['allow']).toBe('GET, HEAD, PUT, DELETE');
  });

  test.each<[problem: string, target: string, status: number]>([
    ['a path that climbs out of its site', '/v1/sites/shop/objects/../../blog/objects/a', 404],
    ['a malformed path', '/v1/sites/shop/objects/%', 400],
    ['a site that has no name', '/v1/sites/Sh_op/objects/a', 422],
    ['another resource', '/v1/nodes', 404],
  ])('refuses %s', async (_problem, target, status) => {
    const origin = await startTestOrigin();
    await origin.store.put('blog', '/a', upload());
    const answer = await rawRequest(origin, `GET ${target} HTTP/1.1`);
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(answer).toContain('application/problem+json');
  });
});

describe('the list of objects', () => {
  test('comes in pages', async () => {
    const { api } = await startTestOrigin();
    for (const path of ['/a/1', '/a/2', '/a/3', '/b']) await api('PUT', path, path);
    const list = async (query: string) => {
      const { objects, next } = (await api('GET', query)).json() as {
        objects: { path: string }[];
        next: string | null;
      };
      return { paths: objects.map(({ path }) => path), next };
    };
    expect(await list('')).toEqual({ paths: ['/a/1', '/a/2', '/a/3', '/b'], next: null });
    const first = await list('?prefix=/a/&limit=2');
    expect(first).toEqual({ paths: ['/a/1', '/a/2'], next: '/a/2' });
    const second = await list(`?prefix=/a/&limit=2&after=${encodeURIComponent(first.next ?? '')}`);
    expect(second).toEqual({ paths: ['/a/3'], next: null });
  });

  test.each(['?limit=0', '?limit=x', '?limit=1001', '?sort=size'])('refuses %s', async (query) => {
    const { api } = await startTestOrigin();
    expect((await api('GET', query)).status).toBe(422);
  });
});

test('a client that goes away in the middle of a body frees its file', async () => {
  const { port, store } = await startTestOrigin();
  const size = 64 * 1024 * 1024;
  await store.put('shop', '/large', { ...upload(), content: zeros(size) });
  const reads = spyOnFiles();
  const socket = connect(port, '127.0.0.1');
  socket.write(
    `GET /v1/sites/shop/objects/large HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${PUBLISH_KEY}\r\n\r\n`,
  );
  await once(socket, 'data');
  socket.destroy();
  const body = await reads.mock.results[0]?.value;
  await expect.poll(() => body?.closed).toBe(true);
});

test('a reader that is slow does not make the origin read ahead', async () => {
  const { port, store } = await startTestOrigin();
  await store.put('shop', '/large', { ...upload(), content: zeros(64 * 1024 * 1024) });
  const reads = spyOnFiles();
  const socket = connect(port, '127.0.0.1');
  socket.write(
    `GET /v1/sites/shop/objects/large HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${PUBLISH_KEY}\r\n\r\n`,
  );
  await once(socket, 'readable');
  const body = await reads.mock.results[0]?.value;
  let before = -1;
  await vi.waitUntil(
    () => {
      const stands = body?.bytesRead === before;
      before = body?.bytesRead ?? 0;
      return stands;
    },
    { interval: 100, timeout: 10_000 },
  );
  expect(before).toBeLessThan(32 * 1024 * 1024);
  socket.destroy();
});

/** The files that are read from now on to the end of the test. */
function spyOnFiles() {
  const spy = vi.spyOn(BodyFiles.prototype, 'read');
  onTestFinished(() => spy.mockRestore());
  return spy;
}

const upload = () => ({
  content: zeros(1),
  size: undefined,
  contentType: 'application/octet-stream',
  cacheControl: undefined,
  admit: () => undefined,
});

async function* zeros(size: number): AsyncGenerator<Buffer, void, undefined> {
  const chunk = Buffer.alloc(1024 * 1024);
  for (let left = size; left > 0; left -= chunk.length) yield chunk.subarray(0, left);
}

/** What the origin answers to a request line that no client library would send. */
async function rawRequest({ port }: TestOrigin, requestLine: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.write(
    `${requestLine}\r\nHost: x\r\nAuthorization: Bearer ${PUBLISH_KEY}\r\nConnection: close\r\n\r\n`,
  );
  return text(socket);
}
