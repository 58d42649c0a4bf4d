import { describe, expect, onTestFinished, test } from 'vitest';
import { RedisServer } from '#test/redis.ts';
import { eventually, TestControlPlane } from './kit.ts';
import { sha256, Site } from './release-kit.ts';

// Releases over real origins, and a control plane whose clock the test moves.

const ONE = { '/index.html': 'page 1', '/old.html': 'page', '/a.1.js': 'a1', '/style.css': 's1' };
const TWO = { '/index.html': 'page 2', '/a.2.js': 'a2', '/style.css': 's2' };
const PATHS = ['/', '/old.html', '/a.1.js', '/a.2.js', '/style.css'];
const SERVED_ONE = ['page 1', 'page', 'a1', 404, 's1'];
const SERVED_TWO = ['page 2', 404, 'a1', 'a2', 's2'];

describe('a release', () => {
  test('is switched to at every origin, and its earlier assets stay', async () => {
    const site = await Site.start(['one', 'two']);
    const first = await site.release(ONE, { reason: 'the first' });
    expect(first).toMatchObject({
      status: 'current',
      objects: 4,
      by: 'admin',
      reason: 'the first',
    });
    for (const name of ['one', 'two'])
      expect(await site.served(name, ...PATHS)).toEqual(SERVED_ONE);
    const second = await site.release(TWO);
    expect(second).toMatchObject({
      status: 'current',
      added: 1,
      changed: 2,
      deleted: 1,
      bytes: 10,
    });
    for (const name of ['one', 'two'])
      expect(await site.served(name, ...PATHS)).toEqual(SERVED_TWO);
    expect(await site.cp.list('/v1/sites/shop/releases')).toMatchObject([
      { id: second.id, status: 'current' },
      { id: first.id, status: 'superseded', isHeld: true },
    ]);
    const [, ahead] = await site.cp.list<{ id: string }>('/v1/purges');
    const [latest] = await site.cp.list<{ id: string; release: string }>('/v1/purges');
    expect(latest?.release).toBe(second.id);
    const targets = async (id = '') =>
      (await site.cp.get<{ targets: unknown }>(`/v1/purges/${id}`)).targets;
    // What is new comes ahead of the pages, and a page is purged with its folder, whatever the query.
    expect(await targets(ahead?.id)).toEqual([
      { kind: 'prefixes', site: 'shop', prefixes: ['shop.example/a.2.js'] },
    ]);
    expect(await targets(latest?.id)).toEqual([
      {
        kind: 'prefixes',
        site: 'shop',
        prefixes: ['/index.html', '/', '/style.css', '/old.html'].map(
          (path) => `shop.example${path}`,
        ),
      },
    ]);
    const objects = await site.cp.list(`/v1/sites/shop/releases/${first.id}/objects?limit=2`);
    expect(objects).toMatchObject([{ path: '/a.1.js' }, { path: '/index.html' }]);
  });

  test('that lacks a content changes nothing', async () => {
    const site = await Site.start(['one', 'two']);
    await site.release(ONE);
    const { body } = await site.order({ ...TWO, '/missing': 'never put' });
    const failed = await site.ended(String(body['id']));
    expect(failed).toMatchObject({ status: 'failed', failure: { code: 'content-missing' } });
    for (const name of ['one', 'two'])
      expect(await site.served(name, ...PATHS)).toEqual(SERVED_ONE);
    expect(await site.release(TWO)).toMatchObject({ status: 'current' });
  });

  test('that is cancelled takes back what came ahead of it', async () => {
    const site = await Site.start(['one']);
    await site.release(ONE);
    // It never works on its pushes.
    await site.cp.addNode('oslo', 'edge');
    await site.put(TWO);
    const { body } = await site.order(TWO, { prefetch: {} });
    const id = String(body['id']);
    await eventually(async () => expect(await site.find(id)).toMatchObject({ step: 'prefetch' }));
    expect(await site.served('one', '/a.2.js')).toEqual(['a2']);
    const other = await site.order(TWO);
    expect(other).toMatchObject({ status: 409, body: { code: 'conflict' } });
    const cancel = `/v1/sites/shop/releases/${id}/cancel`;
    expect((await site.cp.call('POST', cancel)).body).toMatchObject({ status: 'cancelled' });
    expect(await site.served('one', ...PATHS)).toEqual(SERVED_ONE);
    expect((await site.cp.call('POST', cancel)).status).toBe(200);
    expect(await site.release(TWO)).toMatchObject({ status: 'current' });
  });

  test('whose control plane stops fails, and takes back what came ahead of it', async () => {
    const site = await Site.start(['one']);
    await site.release(ONE);
    await site.cp.addNode('oslo', 'edge');
    await site.put(TWO);
    const { body } = await site.order(TWO, { prefetch: {} });
    const id = String(body['id']);
    await eventually(async () => expect(await site.find(id)).toMatchObject({ step: 'prefetch' }));
    await site.cp.stop();
    await site.cp.start();
    expect(await site.find(id)).toMatchObject({ status: 'failed' });
    expect(await site.served('one', ...PATHS)).toEqual(SERVED_ONE);
  });

  test('reaches an origin that was away before it serves again', async () => {
    const site = await Site.start(['one', 'two']);
    await site.release(ONE);
    await site.stopOrigin('two');
    await site.release(TWO);
    await site.startOrigin('two');
    expect(await site.served('two', ...PATHS)).toEqual(SERVED_TWO);
  });

  test('that is ordered again under its Idempotency-Key is the same', async () => {
    const site = await Site.start(['one']);
    await site.put(ONE);
    const key = { 'idempotency-key': 'deploy-1' };
    const [order, again] = [await site.order(ONE, {}, key), await site.order(ONE, {}, key)];
    expect([order.status, again.status]).toEqual([202, 202]);
    expect(again.body['id']).toBe(order.body['id']);
    await site.ended(String(order.body['id']));
    expect(await site.order(TWO, {}, key)).toMatchObject({
      status: 422,
      body: { code: 'idempotency-mismatch' },
    });
    // What was refused may be sent again in other words.
    const other = { 'idempotency-key': 'deploy-2', 'if-match': '"another"' };
    expect((await site.order(ONE, {}, other)).status).toBe(412);
    expect((await site.order(ONE, {}, { 'idempotency-key': 'deploy-2' })).status).toBe(202);
    expect(await site.cp.list('/v1/sites/shop/releases')).toHaveLength(2);
  });

  test('is ordered only where the one that it is to replace is in effect', async () => {
    const site = await Site.start(['one']);
    await site.put(ONE);
    expect((await site.order(ONE, {}, { 'if-match': '"other"' })).status).toBe(412);
    const { id } = await site.release(ONE);
    await site.put(TWO);
    expect((await site.order(TWO, {}, { 'if-none-match': '*' })).status).toBe(412);
    expect((await site.order(TWO, {}, { 'if-match': `"${id}"` })).status).toBe(202);
  });

  test.for<[what: string, objects: unknown, says: RegExp]>([
    ['a path twice', [object('/a'), object('/%61')], /objects\.1\.path: expected each path once/],
    ['a path that climbs out', [object('/%zz')], /objects\.0\.path/],
    ['no objects', [], /objects/],
    ['no digest', [{ path: '/a', digest: 'x' }], /objects\.0\.digest/],
  ])('with %s is refused', async ([, objects, says]) => {
    const site = await Site.start([]);
    const { status, body } = await site.cp.call('POST', '/v1/sites/shop/releases', { objects });
    expect(status).toBe(422);
    expect(body['detail']).toMatch(says);
  });

  test('needs the scope to publish, at a site of the network', async () => {
    const site = await Site.start([]);
    const { cp } = site;
    await cp.call('PUT', '/v1/sites/blog', {
      hosts: ['blog.example'],
      origin: { kind: 'pull', servers: [{ url: 'http://127.0.0.1:1' }] },
    });
    const reader = await cp.addToken('reader', ['read']);
    const other = await cp.addToken('other', ['publish'], ['blog']);
    const body = { objects: [object('/a')] };
    const order = (name: string, token?: string) =>
      cp.call('POST', `/v1/sites/${name}/releases`, body, token);
    expect((await order('shop', reader)).status).toBe(403);
    expect((await order('shop', other)).status).toBe(403);
    expect((await order('none')).status).toBe(404);
    expect(await order('blog')).toMatchObject({ status: 409, body: { code: 'conflict' } });
    const nothing = await cp.call('POST', '/v1/sites/shop/releases/rollback', {});
    expect(nothing.status).toBe(404);
  });
});

describe('a rollback', () => {
  test('is the same switch to the release before, or to the one that is named', async () => {
    const site = await Site.start(['one', 'two']);
    const first = await site.release(ONE);
    const second = await site.release(TWO);
    const back = await site.rollback();
    expect(back.id).toBe(first.id);
    // An asset of the release that was left stays, too.
    const served = ['page 1', 'page', 'a1', 'a2', 's1'];
    for (const name of ['one', 'two']) expect(await site.served(name, ...PATHS)).toEqual(served);
    expect(await site.find(second.id)).toMatchObject({ status: 'superseded' });
    const again = await site.cp.call('POST', '/v1/sites/shop/releases/rollback', {});
    expect(again).toMatchObject({ status: 404, body: { code: 'not-found' } });
    expect((await site.rollback({ to: second.id })).id).toBe(second.id);
    expect(await site.served('two', ...PATHS)).toEqual(SERVED_TWO);
  });

  test('to what is not kept any more is refused', async () => {
    const settings = { releases: { keep: 1, keepAssetsSeconds: 60 } };
    const site = await Site.start(['one'], settings);
    const { id } = await site.release(ONE);
    await site.release(TWO);
    site.cp.clock.advance('1m');
    await eventually(async () => {
      site.cp.clock.advance('30s');
      expect(await site.find(id)).toMatchObject({ isHeld: false });
    });
    const refused = await site.cp.call('POST', '/v1/sites/shop/releases/rollback', { to: id });
    expect(refused).toMatchObject({ status: 409, body: { code: 'conflict' } });
  });
});

test('assets that only earlier releases have live for their time, and then are purged', async () => {
  const site = await Site.start(['one'], { releases: { keepAssetsSeconds: 3_600 } });
  const first = await site.release(ONE);
  await site.release(TWO);
  site.cp.clock.advance('59m');
  site.cp.clock.advance('30s');
  const tended = await site.release({ ...TWO, '/b.js': 'b' });
  expect(tended.status).toBe('current');
  expect(await site.served('one', '/a.1.js')).toEqual(['a1']);
  await eventually(async () => {
    site.cp.clock.advance('30s');
    expect(await site.served('one', '/a.1.js')).toEqual([404]);
  });
  expect(await site.served('one', '/a.2.js', '/style.css')).toEqual(['a2', 's2']);
  await eventually(async () => {
    const [latest] = await site.cp.list('/v1/purges');
    expect(latest).toMatchObject({ reason: `release ${first.id}`, first: 'shop.example/a.1.js' });
  });
  // It is kept all the same, and brings its assets back.
  await site.rollback({ to: first.id });
  expect(await site.served('one', ...PATHS)).toEqual(['page 1', 'page', 'a1', 'a2', 's1']);
});

test('two control planes on one state take turns', async () => {
  const redis = await RedisServer.start();
  onTestFinished(() => redis.end());
  const options = { redisUrl: redis.url };
  const cp = await TestControlPlane.start(options);
  const other = await TestControlPlane.start(options);
  const site = await Site.start(['one'], {}, cp);
  const first = await site.release(ONE);
  await cp.addNode('oslo', 'edge');
  await site.put(TWO);
  const { body } = await site.order(TWO, { prefetch: {} });
  const id = String(body['id']);
  await eventually(async () => expect(await site.find(id)).toMatchObject({ step: 'prefetch' }));
  const rollback = (to: string) => other.call('POST', '/v1/sites/shop/releases/rollback', { to });
  expect(await rollback(first.id)).toMatchObject({ status: 409 });
  await cp.call('POST', `/v1/sites/shop/releases/${id}/cancel`);
  await site.release(TWO);
  expect((await rollback(first.id)).status).toBe(202);
  const path = `/v1/sites/shop/releases/${first.id}`;
  await eventually(async () => {
    expect((await other.call('GET', path)).body).toMatchObject({ status: 'current' });
    expect((await cp.call('GET', path)).body).toMatchObject({ status: 'current' });
  });
});

function object(path: string): object {
  return { path, digest: sha256('x') };
}
