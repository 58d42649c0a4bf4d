import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { RedisServer } from '#test/redis.ts';
import { type Answer, TestControlPlane } from './kit.ts';

let redis: RedisServer;
beforeAll(async () => void (redis = await RedisServer.start()));
beforeEach(async () => void (await redis.command('FLUSHALL')));
afterAll(() => redis.end());

const push = { kind: 'push' };
const location = { name: 'oslo', latitude: 59.9, longitude: 10.7 };
const node = (url: string) => ({ tier: 'edge', location, url });
const put = (cp: TestControlPlane, path: string, body: object, headers: Record<string, string>) =>
  cp.call('PUT', path, body, undefined, headers);
const tagOf = ({ headers }: Answer): string => headers.get('etag') ?? '';

const RESOURCES = [
  [
    '/v1/sites/shop',
    { hosts: ['a.example'], origin: push },
    { hosts: ['b.example'], origin: push },
  ],
  ['/v1/nodes/edge', node('http://127.0.0.1:1'), node('http://127.0.0.1:2')],
] as const;

describe.for(RESOURCES)('%s', ([path, first, second]) => {
  test('has a tag that changes with it, and is not sent to who has it', async () => {
    const cp = await TestControlPlane.start();
    const created = await cp.call('PUT', path, first);
    const tag = tagOf(created);
    expect(tag).toMatch(/^"[\w-]{22}"$/);
    expect(tagOf(await cp.call('GET', path))).toBe(tag);
    expect(
      await cp.call('GET', path, undefined, undefined, { 'if-none-match': tag }),
    ).toMatchObject({ status: 304, body: {} });
    expect(tagOf(await cp.call('PUT', path, first))).toBe(tag);
    expect(tagOf(await cp.call('PUT', path, second))).not.toBe(tag);
    expect(
      (await cp.call('GET', path, undefined, undefined, { 'if-none-match': tag })).status,
    ).toBe(200);
  });

  test('is created only where there is none, and changed only as it was known', async () => {
    const cp = await TestControlPlane.start();
    const missing = await put(cp, path, first, { 'if-match': '*' });
    expect(missing).toMatchObject({ status: 412, body: { code: 'precondition-failed' } });
    const created = await put(cp, path, first, { 'if-none-match': '*' });
    expect(created.status).toBe(201);
    expect((await put(cp, path, second, { 'if-none-match': '*' })).status).toBe(412);
    expect((await put(cp, path, second, { 'if-match': '"other"' })).status).toBe(412);
    // Weak tags are not for changes (RFC 9110 §13.1.1).
    expect((await put(cp, path, second, { 'if-match': `W/${tagOf(created)}` })).status).toBe(412);
    expect(await cp.sequence()).toBe(2);
    const changed = await put(cp, path, second, { 'if-match': `"other", ${tagOf(created)}` });
    expect(changed).toMatchObject({ status: 200, body: { sequence: 3 } });
    const stale = { 'if-match': tagOf(created) };
    expect((await cp.call('DELETE', path, undefined, undefined, stale)).status).toBe(412);
    const current = { 'if-match': tagOf(changed) };
    expect((await cp.call('DELETE', path, undefined, undefined, current)).status).toBe(200);
  });

  test('of two who change what both have read, at two control planes, one is refused', async () => {
    const options = { redisUrl: redis.url };
    const [a, b] = [await TestControlPlane.start(options), await TestControlPlane.start(options)];
    let tag = tagOf(await a.call('PUT', path, first));
    for (let round = 0; round < 10; round++) {
      const changes = [a, b].map((cp, i) => {
        const changed =
          'hosts' in first
            ? { ...first, hosts: [`${'ab'[i]}${round}.example`] }
            : { ...first, url: `http://127.0.0.1:${100 * i + round + 1_000}` };
        return put(cp, path, changed, { 'if-match': tag });
      });
      const answers = await Promise.all(changes);
      expect(answers.map(({ status }) => status).toSorted((x, y) => x - y)).toEqual([200, 412]);
      tag = answers.map((answer) => (answer.status === 200 ? tagOf(answer) : '')).join('');
    }
    const last = await put(a, path, first, { 'if-match': tag });
    expect(last).toMatchObject({ status: 200, body: { sequence: 13 } });
  });
});

test('a node is drained only as it was known', async () => {
  const cp = await TestControlPlane.start();
  const tag = tagOf(await cp.call('PUT', '/v1/nodes/edge', node('http://127.0.0.1:1')));
  const drain = (ifMatch: string) =>
    cp.call('POST', '/v1/nodes/edge/drain', undefined, undefined, { 'if-match': ifMatch });
  const drained = await drain(tag);
  expect(drained).toMatchObject({ status: 200, body: { node: { draining: true } } });
  expect((await drain(tag)).status).toBe(412);
  expect((await drain(tagOf(drained))).status).toBe(200);
});

test('the tier key is rotated only in the phase that was known', async () => {
  const cp = await TestControlPlane.start();
  const before = await cp.call('GET', '/v1/network');
  const rotate = () =>
    cp.call('POST', '/v1/network/rotate-tier-key', undefined, undefined, {
      'if-match': tagOf(before),
    });
  const answers = await Promise.all([rotate(), rotate()]);
  expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([202, 412]);
});
