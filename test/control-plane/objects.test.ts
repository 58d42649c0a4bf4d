import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  createServer,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { PurgeRecord } from '#control-plane/state/store.ts';
import { eventually, TestControlPlane } from './kit.ts';

interface Origin {
  readonly url: string;
  readonly seen: { readonly line: string; readonly headers: IncomingMessage['headers'] }[];
}

/** An origin that answers as the test says. */
async function startOrigin(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<Origin> {
  const seen: Origin['seen'] = [];
  const server: Server = createServer((incoming, response) => {
    seen.push({ line: `${incoming.method} ${incoming.url}`, headers: incoming.headers });
    answer(incoming, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
}

async function startWith(...origins: Origin[]): Promise<TestControlPlane> {
  const cp = await TestControlPlane.start();
  await cp.addSite('shop', 'shop.example');
  for (const [i, { url }] of origins.entries()) await cp.addNode(`origin-${i}`, 'origin', url);
  return cp;
}

const created = (incoming: IncomingMessage, response: ServerResponse): void => {
  void buffer(incoming).then((body) => {
    const etag = `"${createHash('sha256').update(body).digest('hex')}"`;
    response.writeHead(201, { 'content-type': 'application/json', etag });
    response.end(JSON.stringify({ etag, size: body.length }));
  });
};

test('a put goes to every origin node, byte for byte and with its fields', async () => {
  const origins = [await startOrigin(created), await startOrigin(created)];
  const cp = await startWith(...origins);
  // More than every body limit and buffer on the way.
  const content = randomBytes(12 * 1024 * 1024);
  const answer = await fetch(`${cp.url}/v1/sites/shop/objects/a%2Fb/%C3%A9.png?x=1`, {
    method: 'PUT',
    body: content,
    headers: {
      authorization: 'Bearer admin-token',
      'content-type': 'image/png',
      'cache-control': 'max-age=60',
    },
  });
  expect(answer.status).toBe(201);
  const etag = `"${createHash('sha256').update(content).digest('hex')}"`;
  expect(await answer.json()).toEqual({ etag, size: content.length });
  for (const { seen } of origins) {
    expect(seen).toMatchObject([
      {
        line: 'PUT /v1/sites/shop/objects/a%2Fb/%C3%A9.png?x=1',
        headers: {
          'content-type': 'image/png',
          'content-length': String(content.length),
          'cache-control': 'max-age=60',
        },
      },
    ]);
    expect(seen[0]?.headers.authorization).toMatch(/^Bearer [\w-]{43}$/);
    expect(seen[0]?.headers.authorization).not.toContain('admin-token');
  }
});

test('an upload is passed on as it comes, not held back', async () => {
  const arrived = Promise.withResolvers<string>();
  const origin = await startOrigin((incoming, response) => {
    incoming.once('data', (chunk: Buffer) => arrived.resolve(chunk.toString()));
    incoming.once('end', () => response.writeHead(201).end());
  });
  const cp = await startWith(origin);
  const upload = request(`${cp.url}/v1/sites/shop/objects/live`, {
    method: 'PUT',
    headers: { authorization: 'Bearer admin-token' },
  });
  upload.write('first');
  expect(await arrived.promise).toBe('first');
  upload.end('last');
  const [answer] = (await once(upload, 'response')) as [IncomingMessage];
  expect(answer.statusCode).toBe(201);
  answer.resume();
});

test('an upload that the client cuts is cut at the origin', async () => {
  const cut = Promise.withResolvers<boolean>();
  const origin = await startOrigin((incoming) => {
    incoming.resume().once('close', () => cut.resolve(!incoming.complete));
    incoming.on('error', () => undefined);
  });
  const cp = await startWith(origin);
  const upload = request(`${cp.url}/v1/sites/shop/objects/cut`, {
    method: 'PUT',
    headers: { authorization: 'Bearer admin-token', 'content-length': '1000' },
  });
  upload.on('error', () => undefined);
  upload.write('part');
  await eventually(() => expect(origin.seen).toHaveLength(1));
  upload.destroy();
  expect(await cut.promise).toBe(true);
});

test('a refusal of one origin is passed through as it is, also before the upload has ended', async () => {
  const problem = '{"code":"insufficient-storage","detail":"There is no room"}';
  const full = await startOrigin((_incoming, response) => {
    response.writeHead(507, { 'content-type': 'application/problem+json' }).end(problem);
  });
  const cp = await startWith(await startOrigin(created), full);
  const answer = await fetch(`${cp.url}/v1/sites/shop/objects/a`, {
    method: 'PUT',
    // More than fits into the buffers between the client and an origin that does not read.
    body: randomBytes(32 * 1024 * 1024),
    headers: { authorization: 'Bearer admin-token' },
  });
  expect(answer.status).toBe(507);
  expect(answer.headers.get('content-type')).toBe('application/problem+json');
  expect(await answer.text()).toBe(problem);
});

test('an origin that cannot be reached fails a write, and no origin at all is said', async () => {
  const cp = await startWith(await startOrigin(created), { url: 'http://127.0.0.1:1', seen: [] });
  const { status, body } = await cp.call('PUT', '/v1/sites/shop/objects/a', {});
  expect(status).toBe(502);
  expect(body).toMatchObject({ code: 'upstream-unreachable', side: 'upstream', retrySafe: true });
  const empty = await startWith();
  for (const method of ['GET', 'PUT', 'DELETE']) {
    const answer = await empty.call(method, '/v1/sites/shop/objects/a');
    expect(answer.body).toMatchObject({ code: 'unavailable', status: 503 });
  }
  expect((await empty.call('GET', '/v1/sites/none/objects/a')).status).toBe(404);
});

test('a read goes to the first origin that works, with its conditions, and streams back', async () => {
  const broken = await startOrigin((_incoming, response) => void response.writeHead(500).end());
  const good = await startOrigin((_incoming, response) => {
    response.writeHead(206, { 'content-range': 'bytes 0-3/10', 'content-type': 'text/css' });
    Readable.from([Buffer.from('ab'), Buffer.from('cd')]).pipe(response);
  });
  const cp = await startWith({ url: 'http://127.0.0.1:1', seen: [] }, broken, good);
  const answer = await fetch(`${cp.url}/v1/sites/shop/objects/a`, {
    headers: { authorization: 'Bearer admin-token', range: 'bytes=0-3', 'if-range': '"x"' },
  });
  expect(answer.status).toBe(206);
  expect(answer.headers.get('content-range')).toBe('bytes 0-3/10');
  expect(await answer.text()).toBe('abcd');
  expect(broken.seen).toHaveLength(1);
  expect(good.seen).toMatchObject([{ headers: { range: 'bytes=0-3', 'if-range': '"x"' } }]);
});

/** An origin without these contents. */
const lacking = (...missing: string[]): Promise<Origin> =>
  startOrigin((incoming, response) => {
    incoming.resume();
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ missing }));
  });

test('what is missing at one of the origins is missing', async () => {
  const cp = await startWith(await lacking('a', 'b'), await lacking('b', 'c'));
  const answer = await cp.call('POST', '/v1/sites/shop/contents/missing', { digests: [] });
  expect(answer).toMatchObject({ status: 200, body: { missing: ['a', 'b', 'c'] } });
});

test('what one origin refuses to tell is refused', async () => {
  const refusing = await startOrigin((_incoming, response) => {
    response.writeHead(422, { 'content-type': 'application/problem+json' });
    response.end('{"code":"invalid-input"}');
  });
  const cp = await startWith(await startOrigin(created), refusing);
  const answer = await fetch(`${cp.url}/v1/sites/shop/contents/missing`, {
    method: 'POST',
    headers: { authorization: 'Bearer admin-token', 'content-type': 'application/json' },
    body: '{"digests":[1]}',
  });
  expect(answer.status).toBe(422);
  expect(await answer.json()).toEqual({ code: 'invalid-input' });
});

test.for([
  ['HEAD', '/v1/sites/shop/objects/a/', 200],
  ['DELETE', '/v1/sites/shop/objects/a', 204],
  ['GET', '/v1/sites/shop/objects?prefix=%2Fimg&limit=5', 200],
  ['GET', '/v1/sites/shop/versions/a%2Fb', 200],
  ['GET', '/v1/sites/shop/usage', 200],
  ['GET', '/v1/sites/shop/contents/0123', 200],
  ['PUT', '/v1/sites/shop/contents/0123', 201],
  ['PUT', '/v1/sites/shop/holds/release-1', 204],
  ['DELETE', '/v1/sites/shop/holds/release-1', 204],
] as const)('%s %s is passed on', async ([method, path, status]) => {
  const origin = await startOrigin((_incoming, response) => void response.writeHead(status).end());
  const cp = await startWith(origin);
  // Not by `call`: this origin says nothing of what is declared.
  const headers = { authorization: 'Bearer admin-token' };
  expect((await fetch(new URL(path, cp.url), { method, headers })).status).toBe(status);
  expect(origin.seen).toMatchObject([{ line: `${method} ${path}` }]);
});

const published = async (
  cp: TestControlPlane,
  method: string,
  path: string,
  body: object = {},
  token = 'admin-token',
) => {
  const headers = { authorization: `Bearer ${token}` };
  const target = new URL(`/v1/sites/shop/${path}`, cp.url);
  // Not by `call`: this origin says nothing of what is declared.
  const answer = await fetch(target, { method, headers, body: JSON.stringify(body) });
  const id = answer.headers.get('canopy-purge');
  const purge = id === null ? undefined : await cp.get<PurgeRecord>(`/v1/purges/${id}`);
  return { status: answer.status, mode: purge?.mode, targets: purge?.targets };
};
const urls = (...paths: string[]) => ({
  kind: 'urls',
  site: 'shop',
  urls: paths.map((path) => `http://shop.example${path}`),
});
const noContent = (incoming: IncomingMessage, response: ServerResponse): void => {
  incoming.resume().on('end', () => response.writeHead(204).end());
};

describe('what is published', () => {
  test('is purged by who published it, whatever may purge', async () => {
    const cp = await startWith(await startOrigin(noContent));
    const token = await cp.addToken('deploy', ['publish'], ['shop']);
    expect((await published(cp, 'PUT', 'objects/a', {}, token)).status).toBe(204);
    const purge = { by: 'deploy', reason: 'published', mode: 'hard' };
    expect(await cp.list('/v1/purges')).toMatchObject([purge]);
  });

  test.for([
    ['PUT', 'objects/a%2Fb/%C3%A9.png', 'hard', [urls('/a%2Fb/%C3%A9.png')]],
    ['PUT', 'objects/a?purge=soft', 'soft', [urls('/a')]],
    ['PUT', 'objects/a?purge=none', undefined, undefined],
    ['DELETE', 'objects/a', 'hard', [urls('/a')]],
    ['PUT', 'objects/a/index.html', 'hard', [urls('/a/index.html', '/a/')]],
    ['PUT', `contents/${'0'.repeat(64)}`, undefined, undefined],
  ] as const)('%s %s', async ([method, path, mode, targets]) => {
    const cp = await startWith(await startOrigin(noContent));
    expect(await published(cp, method, path)).toEqual({ status: 204, mode, targets });
  });

  test('as a set is one purge, however many URLs it has', async () => {
    const origin = await startOrigin(noContent);
    const cp = await startWith(origin, await startOrigin(noContent));
    const paths = Array.from({ length: 10_001 }, (_, i) => `/${i}`);
    const body = { objects: paths.map((path) => ({ path, digest: '' })), deleted: ['/gone'] };
    const { targets } = await published(cp, 'POST', 'publications', body);
    expect(targets).toEqual([urls(...paths.slice(0, 10_000)), urls('/10000', '/gone')]);
    expect(await cp.sequence()).toBe(6);
    expect(origin.seen[0]?.headers['content-length']).toBe(String(JSON.stringify(body).length));
    expect(await cp.list('/v1/purges')).toMatchObject([{ sites: ['shop'], names: 10_002 }]);
  });

  test('at some of the origins only is purged, and what none has taken is not', async () => {
    const failing = await startOrigin((incoming, response) => {
      incoming.resume().on('end', () => response.writeHead(507).end('{}'));
    });
    const some = await startWith(await startOrigin(noContent), failing);
    expect(await published(some, 'PUT', 'objects/a')).toMatchObject({
      status: 507,
      targets: [urls('/a')],
    });
    const none = await startWith(failing);
    expect((await published(none, 'PUT', 'objects/a')).targets).toBeUndefined();
  });

  test('with a wish that is not known is not published', async () => {
    const origin = await startOrigin(noContent);
    const cp = await startWith(origin);
    expect((await published(cp, 'PUT', 'objects/a?purge=maybe')).status).toBe(422);
    expect(origin.seen).toEqual([]);
  });
});
