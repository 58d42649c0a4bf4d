import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { RedisServer } from '#test/redis.ts';
import { TestControlPlane } from './kit.ts';

let redis: RedisServer;
beforeAll(async () => void (redis = await RedisServer.start()));
beforeEach(async () => void (await redis.command('FLUSHALL')));
afterAll(() => redis.end());

const rotate = (cp: TestControlPlane, name: string, body: object = {}) =>
  cp.call('POST', `/v1/tokens/${name}/rotate`, body);
const statusWith = async (cp: TestControlPlane, token: string): Promise<number> =>
  (await cp.call('GET', '/v1/sites', undefined, token)).status;

describe.for(['SQLite', 'Redis'])('on %s', (state) => {
  const start = () => TestControlPlane.start(state === 'Redis' ? { redisUrl: redis.url } : {});

  test('a rotated token has two secrets until the overlap is over', async () => {
    const cp = await start();
    const first = await cp.addToken('deploy', ['read']);
    const { status, body } = await rotate(cp, 'deploy', { overlapSeconds: 60 });
    expect(status).toBe(200);
    expect(body).toMatchObject({ name: 'deploy', previousUntil: cp.clock.now() + 60_000 });
    const second = String(body['token']);
    expect([await statusWith(cp, first), await statusWith(cp, second)]).toEqual([200, 200]);
    cp.clock.advance('60s');
    const refused = await cp.call('GET', '/v1/sites', undefined, first);
    expect(refused).toMatchObject({ status: 401, body: { code: 'unauthenticated' } });
    expect(refused.body['detail']).toMatch(/^This secret of token "deploy" was replaced/);
    expect(await statusWith(cp, second)).toBe(200);
  });

  test('without an overlap the old secret ends at once; of three only the last two are taken', async () => {
    const cp = await start();
    const first = await cp.addToken('deploy', ['read']);
    const second = String((await rotate(cp, 'deploy')).body['token']);
    const third = String((await rotate(cp, 'deploy')).body['token']);
    const statuses = await Promise.all([first, second, third].map((one) => statusWith(cp, one)));
    expect(statuses).toEqual([401, 200, 200]);
    const last = String((await rotate(cp, 'deploy', { overlapSeconds: 0 })).body['token']);
    expect([await statusWith(cp, third), await statusWith(cp, last)]).toEqual([401, 200]);
  });

  test('two rotations of what both have read give one secret', async () => {
    const cp = await start();
    await cp.addToken('deploy', ['read']);
    const tag = (await cp.call('GET', '/v1/tokens/deploy')).headers.get('etag') ?? '';
    const conditional = () =>
      cp.call('POST', '/v1/tokens/deploy/rotate', {}, undefined, { 'if-match': tag });
    const answers = await Promise.all([conditional(), conditional()]);
    const given = answers.filter(({ status }) => status === 200);
    expect(given).toHaveLength(1);
    expect(await statusWith(cp, String(given[0]?.body['token']))).toBe(200);
  });

  test('a token expires, and a rotation can prolong it', async () => {
    const cp = await start();
    const { body } = await cp.call('POST', '/v1/tokens', {
      name: 'guest',
      scopes: ['read'],
      expiresInSeconds: 60,
    });
    const secret = String(body['token']);
    expect(await statusWith(cp, secret)).toBe(200);
    cp.clock.advance('60s');
    const refused = await cp.call('GET', '/v1/sites', undefined, secret);
    expect(refused.status).toBe(401);
    expect(refused.body['detail']).toMatch(/^Token "guest" expired at 2026-01-01T00:01:00/);
    const prolonged = await rotate(cp, 'guest', { expiresInSeconds: 60 });
    expect(await statusWith(cp, String(prolonged.body['token']))).toBe(200);
  });

  test('tells when a token was used last, to the hour', async () => {
    const cp = await start();
    const secret = await cp.addToken('reader', ['read']);
    const lastUse = async (): Promise<unknown> =>
      (await cp.list('/v1/tokens')).find(({ name }) => name === 'reader')?.['lastUsedAt'];
    expect(await lastUse()).toBeNull();
    const hour = cp.clock.now();
    cp.clock.advance('10m');
    await statusWith(cp, secret);
    expect(await lastUse()).toBe(hour);
    cp.clock.advance('1h');
    await statusWith(cp, secret);
    expect(await lastUse()).toBe(hour + 3_600_000);
    await cp.call('DELETE', '/v1/tokens/reader');
    await cp.addToken('reader', ['read']);
    expect(await lastUse()).toBeNull();
  });
});

test('the admin token of the environment stays the one that was rotated, until the overlap is over', async () => {
  const cp = await TestControlPlane.start();
  const { body } = await rotate(cp, 'admin', { overlapSeconds: 60 });
  const rotated = String(body['token']);
  await cp.stop();
  await cp.start();
  expect(await statusWith(cp, rotated)).toBe(200);
  cp.clock.advance('60s');
  await cp.stop();
  await cp.start();
  expect(await statusWith(cp, 'admin-token')).toBe(200);
  expect(await statusWith(cp, rotated)).toBe(401);
});
