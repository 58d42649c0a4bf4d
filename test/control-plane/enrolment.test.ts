import { createHash } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { RedisServer } from '#test/redis.ts';
import { type Answer, TestControlPlane } from './kit.ts';

let redis: RedisServer;
beforeAll(async () => void (redis = await RedisServer.start()));
beforeEach(async () => void (await redis.command('FLUSHALL')));
afterAll(() => redis.end());

const NODE = {
  name: 'edge-oslo',
  tier: 'edge',
  location: { name: 'oslo', latitude: 59.9, longitude: 10.7 },
  url: 'http://127.0.0.1:1',
};

const enrolment = async (cp: TestControlPlane, order: object = NODE): Promise<string> => {
  const { status, body } = await cp.call('POST', '/v1/enrolments', order);
  expect(status).toBe(201);
  return String(body['token']);
};

const digestOf = (credential: string): string =>
  createHash('sha256').update(credential).digest('hex');

const exchange = (cp: TestControlPlane, token: string, credential: string): Promise<Answer> => {
  const path = `/v1/enrolments/${token.split('.')[0]}/exchange`;
  return cp.call('POST', path, { digest: digestOf(credential) }, token);
};

describe.for(['SQLite', 'Redis'])('on %s', (state) => {
  const start = () => TestControlPlane.start(state === 'Redis' ? { redisUrl: redis.url } : {});

  test('a node gets its credential for a one-time token, once', async () => {
    const cp = await start();
    const token = await enrolment(cp);
    expect(token).toMatch(/^edge-oslo\.[\w-]{43}$/);
    expect(await cp.list('/v1/nodes')).toEqual([]);
    const enrolled = await exchange(cp, token, 'mine');
    expect(enrolled).toMatchObject({ status: 200, body: { node: NODE } });
    expect((await cp.heartbeat('mine', 2)).status).toBe(200);

    const second = await exchange(cp, token, 'theirs');
    expect(second).toMatchObject({ status: 401, body: { code: 'unauthenticated' } });
    expect(second.body['detail']).toMatch(/^The enrolment token was used already, at 2026-/);
    expect((await cp.heartbeat('theirs', 2)).status).toBe(401);
    expect(await cp.list('/v1/enrolments')).toMatchObject([{ usedAt: cp.clock.now() }]);
  });

  test('the same node may ask again, in case the answer was lost, also when the time is over', async () => {
    const cp = await start();
    const token = await enrolment(cp);
    await exchange(cp, token, 'mine');
    cp.clock.advance('1h');
    expect((await exchange(cp, token, 'mine')).status).toBe(200);
    expect(await cp.sequence()).toBe(2);
  });

  test('too late is too late, and the refusal says so', async () => {
    const cp = await start();
    const token = await enrolment(cp, { ...NODE, expiresInSeconds: 60 });
    cp.clock.advance('60s');
    const { status, body } = await exchange(cp, token, 'mine');
    expect(status).toBe(401);
    expect(body['detail']).toBe('The enrolment token expired at 2026-01-01T00:01:00.000Z');
    expect(await cp.list('/v1/nodes')).toEqual([]);
  });

  test('of many at once one is enrolled', async () => {
    const cp = await start();
    const others = state === 'Redis' ? [cp, await start()] : [cp];
    const token = await enrolment(cp);
    const credentials = Array.from({ length: 8 }, (_, i) => `credential-${i}`);
    const answers = await Promise.all(
      credentials.map((one, i) => exchange(others[i % others.length] ?? cp, token, one)),
    );
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    const beats = await Promise.all(credentials.map((one) => cp.heartbeat(one, 2)));
    expect(beats.map(({ status }) => status === 200)).toEqual(
      answers.map(({ status }) => status === 200),
    );
  });

  test('a node that is there gets another credential, and stays as it is', async () => {
    const cp = await start();
    const first = await cp.addNode('edge-oslo');
    const [before] = await cp.list('/v1/nodes');
    await exchange(cp, await enrolment(cp, { name: 'edge-oslo' }), 'second');
    expect((await cp.heartbeat(first, 3)).status).toBe(401);
    expect((await cp.heartbeat('second', 3)).status).toBe(200);
    const [after] = await cp.list('/v1/nodes');
    expect(after).toMatchObject({ url: before?.['url'], tier: 'edge' });
  });

  test('a later token replaces the one before; one that is withdrawn is refused', async () => {
    const cp = await start();
    const first = await enrolment(cp);
    const second = await enrolment(cp);
    expect((await exchange(cp, first, 'a')).body['detail']).toBe(
      'The enrolment token is not known',
    );
    expect((await cp.call('DELETE', '/v1/enrolments/edge-oslo')).status).toBe(204);
    expect((await cp.call('DELETE', '/v1/enrolments/edge-oslo')).status).toBe(404);
    expect((await exchange(cp, second, 'a')).status).toBe(401);
  });
});

test('a new node has to be described; guesses are slowed down; the audit log tells of both ends', async () => {
  const cp = await TestControlPlane.start();
  const incomplete = await cp.call('POST', '/v1/enrolments', { name: 'edge-oslo', tier: 'edge' });
  expect(incomplete).toMatchObject({ status: 422, body: { code: 'invalid-input' } });
  const reader = await cp.addToken('reader', ['read']);
  expect((await cp.call('POST', '/v1/enrolments', NODE, reader)).status).toBe(403);
  const token = await enrolment(cp);
  await exchange(cp, token, 'mine');
  const [taken, opened] = await cp.list('/v1/audit');
  expect(taken).toMatchObject({ path: '/v1/enrolments/edge-oslo/exchange', sequences: [2] });
  expect(opened).toMatchObject({ token: 'admin', path: '/v1/enrolments', status: 201 });
  for (let i = 0; i <= 20; i++) await exchange(cp, `edge-oslo.${i}${'x'.repeat(42)}`, 'guess');
  expect((await exchange(cp, `edge-oslo.${'y'.repeat(43)}`, 'guess')).status).toBe(429);
});
