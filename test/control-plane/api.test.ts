import { request } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { startControlPlane } from '#control-plane/server.ts';
import { ADMIN, silent, temporaryDir, TestControlPlane } from './kit.ts';

const push = { kind: 'push' };

describe('sites', () => {
  test('are created, read, replaced and deleted; the journal moves only when something changes', async () => {
    const cp = await TestControlPlane.start();
    const created = await cp.call('PUT', '/v1/sites/shop', { hosts: ['a.example'], origin: push });
    expect(created).toMatchObject({
      status: 201,
      body: { sequence: 2, site: { name: 'shop', cache: { negativeFreshSeconds: 10 } } },
    });
    const same = { name: 'shop', hosts: ['a.example'], origin: push };
    expect(await cp.call('PUT', '/v1/sites/shop', same)).toMatchObject({
      status: 200,
      body: { sequence: 2 },
    });
    const replaced = { ...same, hosts: ['b.example'] };
    expect((await cp.call('PUT', '/v1/sites/shop', replaced)).body).toMatchObject({ sequence: 3 });
    expect(await cp.get('/v1/sites/shop')).toMatchObject({ hosts: ['b.example'] });
    expect(await cp.get('/v1/sites')).toMatchObject([{ name: 'shop' }]);
    expect((await cp.call('DELETE', '/v1/sites/shop')).body).toEqual({ sequence: 4, version: 3 });
    expect((await cp.call('DELETE', '/v1/sites/shop')).status).toBe(404);
    expect((await cp.call('GET', '/v1/sites/shop')).status).toBe(404);
    expect(await cp.get('/v1/journal?after=1')).toMatchObject([
      { type: 'site.put', sequence: 2 },
      { type: 'site.put', sequence: 3 },
      { type: 'site.delete', sequence: 4 },
    ]);
  });

  test('a host belongs to one site; the conflict names both', async () => {
    const cp = await TestControlPlane.start();
    await cp.addSite('shop', 'a.example', '*');
    const { status, body } = await cp.call('PUT', '/v1/sites/blog', { hosts: ['*'], origin: push });
    expect(status).toBe(409);
    expect(body).toMatchObject({ code: 'conflict', retrySafe: false });
    expect(body['detail']).toBe('Host "*" of site "blog" is claimed by site "shop"');
    expect(await cp.sequence()).toBe(2);
  });

  test('puts at the same time cannot both claim a host', async () => {
    const cp = await TestControlPlane.start();
    const answers = await Promise.all(
      ['one', 'two', 'three'].map((name) =>
        cp.call('PUT', `/v1/sites/${name}`, { hosts: ['a.example'], origin: push }),
      ),
    );
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([201, 409, 409]);
  });

  test('a bad site is refused with every issue, and nothing changes', async () => {
    const cp = await TestControlPlane.start();
    const bad = { name: 'other', hosts: ['A b'], origin: push };
    expect((await cp.call('PUT', '/v1/sites/shop', bad)).body).toMatchObject({
      code: 'invalid-input',
      issues: [{ path: 'name', expected: '"shop" as in the path', received: '"other"' }],
    });
    const { status, headers, body } = await cp.call('PUT', '/v1/sites/shop', {
      hosts: ['A b'],
      origin: push,
      cash: {},
    });
    expect(status).toBe(422);
    expect(headers.get('content-type')).toBe('application/problem+json');
    expect(body['issues']).toHaveLength(2);
    expect((await cp.call('PUT', '/v1/sites/Shop', { hosts: ['a'], origin: push })).status).toBe(
      422,
    );
    expect(await cp.sequence()).toBe(1);
  });
});

describe('problems', () => {
  test.for<
    [
      what: string,
      method: string,
      path: string,
      body: string | undefined,
      status: number,
      code: string,
    ]
  >([
    ['unknown route', 'GET', '/v1/nothing', undefined, 404, 'not-found'],
    ['malformed JSON', 'PUT', '/v1/sites/shop', '{"hosts":', 400, 'invalid-request'],
    ['no body', 'PUT', '/v1/sites/shop', undefined, 422, 'invalid-input'],
    ['an array as body', 'PUT', '/v1/sites/shop', '[]', 422, 'invalid-input'],
    ['too large', 'PUT', '/v1/sites/shop', ' '.repeat(2 ** 20 + 1), 413, 'content-too-large'],
    ['bad escape in the path', 'GET', '/v1/sites/%zz', undefined, 400, 'invalid-request'],
    ['bad query', 'GET', '/v1/journal?after=x', undefined, 422, 'invalid-input'],
    ['prototype in JSON', 'PUT', '/v1/sites/shop', '{"__proto__":1}', 400, 'invalid-request'],
  ])('%s', async ([, method, path, body, status, code]) => {
    const cp = await TestControlPlane.start();
    const answer = await cp.call(method, path, body);
    expect(answer.status).toBe(status);
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
    expect(answer.body).toMatchObject({
      status,
      code,
      side: 'client',
      retrySafe: false,
      type: `urn:canopy:error:${code}`,
      title: expect.any(String),
      detail: expect.any(String),
    });
  });

  test('a body of another type is refused', async () => {
    const cp = await TestControlPlane.start();
    const sent = request(new URL('/v1/purges', cp.url), {
      method: 'POST',
      headers: { 'content-type': 'text/csv', authorization: 'Bearer admin-token' },
    }).end('a,b');
    const status = await new Promise<string>((resolve) => {
      sent.once('response', (answer) => void text(answer).then(resolve));
    });
    expect(JSON.parse(status)).toMatchObject({ code: 'invalid-request' });
  });
});

test.for([
  ['no HTTP', 'hello\r\n\r\n', 400, 'invalid-request'],
  [
    'too many fields',
    `GET / HTTP/1.1\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`,
    431,
    'header-too-large',
  ],
] as const)('a connection with %s is answered and ended', async ([, bytes, status, code]) => {
  const cp = await TestControlPlane.start();
  const socket = connect(Number(new URL(cp.url).port), '127.0.0.1');
  socket.write(bytes);
  const answer = await text(socket);
  expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  expect(JSON.parse(answer.slice(answer.indexOf('{')))).toMatchObject({ status, code });
});

describe('access', () => {
  test.for<[method: string, path: string, scope: string]>([
    ['GET', '/v1/sites', 'read'],
    ['GET', '/v1/sites/one', 'read'],
    ['GET', '/v1/nodes', 'read'],
    ['GET', '/v1/journal', 'read'],
    ['GET', '/v1/purges', 'read'],
    ['PUT', '/v1/sites/one', 'configure'],
    ['DELETE', '/v1/sites/one', 'configure'],
    ['PUT', '/v1/nodes/edge', 'configure'],
    ['DELETE', '/v1/nodes/edge', 'configure'],
    ['POST', '/v1/purges', 'purge'],
    ['PUT', '/v1/sites/one/objects/a', 'publish'],
    ['DELETE', '/v1/sites/one/objects/a', 'publish'],
    ['GET', '/v1/sites/one/objects/a', 'read'],
    ['GET', '/v1/tokens', 'admin'],
    ['POST', '/v1/tokens', 'admin'],
    ['DELETE', '/v1/tokens/x', 'admin'],
  ])('%s %s takes the scope %s', async ([method, path, scope]) => {
    const cp = await TestControlPlane.start();
    expect((await cp.call(method, path, undefined, null)).status).toBe(401);
    expect((await cp.call(method, path, undefined, 'guess')).body).toMatchObject({
      code: 'unauthenticated',
    });
    const scopes = ['read', 'purge', 'publish', 'configure'].filter((other) => other !== scope);
    const others = await cp.addToken('others', scopes);
    expect((await cp.call(method, path, undefined, others)).status).toBe(403);
    const right = await cp.addToken('right', [scope]);
    expect([401, 403]).not.toContain((await cp.call(method, path, undefined, right)).status);
    expect([401, 403]).not.toContain((await cp.call(method, path)).status);
  });

  test('a token limited to a site sees and changes that site only', async () => {
    const cp = await TestControlPlane.start();
    await cp.addSite('one', 'one.example');
    await cp.addSite('two', 'two.example');
    const limited = await cp.addToken('limited', ['admin'], ['one']);
    const call = (method: string, path: string, body?: unknown) =>
      cp.call(method, path, body, limited);
    expect((await call('GET', '/v1/sites')).body).toMatchObject([{ name: 'one' }]);
    expect((await call('GET', '/v1/sites/two')).status).toBe(403);
    expect((await call('DELETE', '/v1/sites/two')).status).toBe(403);
    expect((await call('PUT', '/v1/sites/two/objects/a')).status).toBe(403);
    expect((await call('GET', '/v1/nodes')).status).toBe(403);
    expect((await call('POST', '/v1/tokens', {})).status).toBe(403);
    expect((await call('POST', '/v1/purges', { site: 'one' })).status).toBe(202);
    expect((await call('POST', '/v1/purges', { site: 'two' })).status).toBe(403);
    const both = { urls: ['http://one.example/', 'http://two.example/'] };
    const before = await cp.sequence();
    expect((await call('POST', '/v1/purges', both)).status).toBe(403);
    expect(await cp.sequence()).toBe(before);
    const hidden = await cp.purge({ site: 'two' });
    expect((await call('GET', `/v1/purges/${hidden.id}`)).status).toBe(404);
    expect((await call('GET', '/v1/purges')).body).toMatchObject([{ sites: ['one'] }]);
  });

  test('a token is shown once, its digest never; a deleted one is refused', async () => {
    const cp = await TestControlPlane.start();
    const token = await cp.addToken('reader', ['read']);
    expect(token).toMatch(/^[\w-]{43}$/);
    expect(JSON.stringify(await cp.get('/v1/tokens'))).not.toMatch(/digest|admin-token/);
    expect(await cp.get('/v1/tokens')).toMatchObject([
      { name: 'admin', scopes: ['admin'], sites: null },
      { name: 'reader', scopes: ['read'], sites: null },
    ]);
    expect((await cp.call('POST', '/v1/tokens', { name: 'reader', scopes: ['read'] })).status).toBe(
      409,
    );
    expect((await cp.call('POST', '/v1/tokens', { name: 'x', scopes: ['root'] })).status).toBe(422);
    expect((await cp.call('DELETE', '/v1/tokens/reader')).status).toBe(204);
    expect((await cp.call('DELETE', '/v1/tokens/reader')).status).toBe(404);
    expect((await cp.call('GET', '/v1/sites', undefined, token)).status).toBe(401);
  });
});

describe('nodes', () => {
  test('get a credential once; it ends with the node', async () => {
    const cp = await TestControlPlane.start();
    const credential = await cp.addNode('edge-oslo');
    expect(credential).toMatch(/^[\w-]{43}$/);
    const [known] = await cp.get<[Record<string, unknown>]>('/v1/nodes');
    expect(known).toMatchObject({
      name: 'edge-oslo',
      fence: 0,
      inService: false,
      leaseRemainingMs: null,
    });
    const { tier, location, url } = known;
    const again = await cp.call('PUT', '/v1/nodes/edge-oslo', { tier, location, url });
    expect(again).toMatchObject({ status: 200, body: { sequence: 2 } });
    expect(again.body).not.toHaveProperty('credential');
    const moved = await cp.call('PUT', '/v1/nodes/edge-oslo', {
      tier,
      location,
      url: 'http://[::1]:2',
    });
    expect(moved).toMatchObject({ status: 200, body: { sequence: 3 } });
    expect((await cp.heartbeat(credential, 3)).body).toEqual({ leaseMs: 10_000 });
    cp.clock.advance('4s');
    expect(await cp.get('/v1/nodes')).toMatchObject([
      { inService: true, leaseRemainingMs: 6_000, lastHeartbeat: { pid: 1, version: '1' } },
    ]);
    expect((await cp.call('DELETE', '/v1/nodes/edge-oslo')).status).toBe(200);
    expect((await cp.heartbeat(credential, 3)).status).toBe(401);
    expect((await cp.heartbeat('admin-token', 3)).status).toBe(401);
    expect((await cp.call('DELETE', '/v1/nodes/edge-oslo')).status).toBe(404);
  });
});

describe('startControlPlane', () => {
  test('makes an admin token at the first start only, and keeps secrets out of the journal', async () => {
    const options = {
      dir: await temporaryDir(),
      host: '127.0.0.1',
      port: 0,
      admin: ADMIN,
      log: silent,
    };
    const first = await startControlPlane(options);
    const { adminToken = '' } = first;
    const journal = async (url: string): Promise<string> =>
      (
        await fetch(`${url}/v1/journal`, { headers: { authorization: `Bearer ${adminToken}` } })
      ).text();
    expect(JSON.parse(await journal(first.url))).toMatchObject([
      { type: 'network.put', network: { tierKey: '(not shown to tokens)' } },
    ]);
    await first.close();
    const second = await startControlPlane(options);
    expect(second.adminToken).toBeUndefined();
    expect(await journal(second.url)).toContain('network.put');
    await second.close();
    const third = await startControlPlane({ ...options, adminToken: 'rotated' });
    expect(await journal(third.url)).toContain('unauthenticated');
    await third.close();
  });

  test('a second one on the same state is refused, and the first goes on', async () => {
    const cp = await TestControlPlane.start();
    const options = { dir: cp.dir, host: '127.0.0.1', port: 0, admin: ADMIN, log: silent };
    await expect(startControlPlane(options)).rejects.toMatchObject({ code: 'conflict' });
    expect(await cp.sequence()).toBe(1);
  });

  test('a port in use is refused, and the state given up', async () => {
    const cp = await TestControlPlane.start();
    const dir = await temporaryDir();
    const port = Number(new URL(cp.url).port);
    const options = { dir, host: '127.0.0.1', admin: ADMIN, log: silent };
    await expect(startControlPlane({ ...options, port })).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining(String(port)),
    });
    await (await startControlPlane({ ...options, port: 0 })).close();
  });
});
