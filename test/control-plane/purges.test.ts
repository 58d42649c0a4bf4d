import { describe, expect, test } from 'vitest';
import type { PurgeRecord } from '#control-plane/state/store.ts';
import { eventually, TestControlPlane } from './kit.ts';

const report = (sequence: number) => ({ sequence, objects: 2, bytes: 100, fills: 1 });
const statuses = (purge: PurgeRecord): Record<string, string> =>
  Object.fromEntries(purge.nodes.map(({ node, status }) => [node, status]));

describe('ordering', () => {
  test('URLs of several sites make one purge with one event per site', async () => {
    const cp = await TestControlPlane.start();
    await cp.addSite('one', 'one.example');
    await cp.addSite('rest', '*');
    const answer = await cp.call('POST', '/v1/purges', {
      urls: [
        'http://one.example/a#top',
        'https://else.example/b',
        'HTTP://One.Example:80/c?d',
        'http://one.example/a',
      ],
      mode: 'soft',
    });
    expect(answer.status).toBe(202);
    const targets = [
      { kind: 'urls', site: 'one', urls: ['http://one.example/a', 'http://one.example/c?d'] },
      { kind: 'urls', site: 'rest', urls: ['https://else.example/b'] },
    ];
    expect(answer.body).toMatchObject({ mode: 'soft', sequences: [4, 5], targets });
    expect(answer.headers.get('location')).toBe(`/v1/purges/${String(answer.body['id'])}`);
    const id = answer.body['id'];
    expect(await cp.get('/v1/journal?after=3')).toMatchObject([
      { sequence: 4, purge: { id, mode: 'soft', target: targets[0] } },
      { sequence: 5, purge: { id, mode: 'soft', target: targets[1] } },
    ]);
  });

  test.for<[what: string, order: object, status: number]>([
    ['relative URL', { urls: ['/a'] }, 422],
    ['other scheme', { urls: ['ftp://one.example/'] }, 422],
    ['URL with credentials', { urls: ['http://me:you@one.example/'] }, 422],
    ['host of no site', { urls: ['http://one.example/', 'http://two.example/'] }, 422],
    ['no URL', { urls: [] }, 422],
    ['unknown mode', { site: 'one', mode: 'gentle' }, 422],
    ['unknown site', { site: 'two' }, 404],
    ['nothing', {}, 422],
    ['both', { site: 'one', urls: ['http://one.example/'] }, 422],
  ])('%s is refused and nothing is purged', async ([, order, status]) => {
    const cp = await TestControlPlane.start();
    await cp.addSite('one', 'one.example');
    expect((await cp.call('POST', '/v1/purges', order)).status).toBe(status);
    expect(await cp.sequence()).toBe(2);
    expect(await cp.get('/v1/purges')).toEqual([]);
  });
});

describe('kinds', () => {
  const orders: [order: object, targets: object[]][] = [
    [
      { prefixes: ['one.example/a/*', 'http://else.example/b'] },
      [
        { kind: 'prefixes', site: 'one', prefixes: ['one.example/a'] },
        { kind: 'prefixes', site: 'rest', prefixes: ['else.example/b'] },
      ],
    ],
    [{ tags: ['news'], site: 'one' }, [{ kind: 'tags', site: 'one', tags: ['news'] }]],
    [
      { tags: ['news'] },
      [
        { kind: 'tags', site: 'one', tags: ['news'] },
        { kind: 'tags', site: 'rest', tags: ['news'] },
      ],
    ],
    [{ hosts: ['one.example'] }, [{ kind: 'hosts', site: 'one', hosts: ['one.example'] }]],
    [{ everything: true }, [{ kind: 'everything' }]],
  ];
  test.for(orders)('%j', async ([order, targets]) => {
    const cp = await TestControlPlane.start();
    await cp.addSite('one', 'one.example');
    await cp.addSite('rest', '*');
    expect(await cp.purge(order)).toMatchObject({ targets });
  });

  test('a token that is limited to sites purges no others', async () => {
    const cp = await TestControlPlane.start();
    await cp.addSite('one', 'one.example');
    await cp.addSite('rest', '*');
    const token = await cp.addToken('deploy', ['purge', 'read'], ['one']);
    const order = (body: object) => cp.call('POST', '/v1/purges', body, token);
    expect((await order({ everything: true })).status).toBe(403);
    expect((await order({ tags: ['a'], site: 'rest' })).status).toBe(403);
    expect((await order({ prefixes: ['else.example/a'] })).status).toBe(403);
    const { body } = await order({ tags: ['a'] });
    expect(body).toMatchObject({ by: 'deploy', targets: [{ site: 'one' }] });
    await cp.purge({ everything: true });
    const seen = await cp.call('GET', '/v1/purges', undefined, token);
    expect(seen.body).toMatchObject([{ by: 'deploy', kind: 'tags', names: 1, first: 'a' }]);
  });
});

describe('a ban', () => {
  test('stands in the configuration until it is lifted, also over a restart', async () => {
    const cp = await TestControlPlane.start();
    await cp.addSite('one', '*');
    const { id } = await cp.purge({ tags: ['news'], site: 'one', mode: 'ban' });
    await cp.stop();
    await cp.start();
    const bans = [{ id, sequence: 3, target: { kind: 'tags', site: 'one', tags: ['news'] } }];
    expect(await cp.get('/v1/bans')).toEqual(bans);
    const token = await cp.addToken('other', ['purge', 'read'], ['two']);
    expect((await cp.call('GET', '/v1/bans', undefined, token)).body).toEqual([]);
    expect((await cp.call('DELETE', `/v1/bans/${id}`, undefined, token)).status).toBe(403);
    expect((await cp.call('DELETE', `/v1/bans/${id}`)).body).toEqual({ sequence: 4 });
    expect((await cp.call('DELETE', `/v1/bans/${id}`)).status).toBe(404);
    expect(await cp.get('/v1/bans')).toEqual([]);
    expect(await cp.get('/v1/journal?after=3')).toMatchObject([{ type: 'ban.lift', id }]);
  });

  test('of more than nodes compare with is refused', async () => {
    const cp = await TestControlPlane.start();
    await cp.addSite('one', '*');
    const urls = Array.from({ length: 6_000 }, (_, i) => `http://a/${i}`);
    expect((await cp.call('POST', '/v1/purges', { urls, mode: 'ban' })).status).toBe(202);
    const refused = await cp.call('POST', '/v1/purges', { urls, mode: 'ban' });
    expect(refused).toMatchObject({ status: 409, body: { code: 'conflict' } });
    expect(await cp.sequence()).toBe(3);
  });
});

const orderAs = (cp: TestControlPlane, key: string, body: object, token?: string) =>
  cp.call('POST', '/v1/purges', body, token, { 'idempotency-key': key });

describe('an order that is sent again', () => {
  test('is the same purge, at once and after a restart', async () => {
    const cp = await TestControlPlane.start();
    await cp.addSite('one', '*');
    const urls = ['http://a/1'];
    const both = await Promise.all(['k-1', '"k-1"'].map((key) => orderAs(cp, key, { urls })));
    expect(both.map(({ status }) => status)).toEqual([202, 202]);
    expect(both[0]?.body).toEqual(both[1]?.body);
    expect(both[0]?.body).not.toHaveProperty('request');
    await cp.stop();
    await cp.start();
    const { body } = await orderAs(cp, 'k-1', { urls });
    expect(body['id']).toBe(both[0]?.body['id']);
    expect(await cp.sequence()).toBe(3);
  });

  test('with other words is refused; the key of another token is another', async () => {
    const cp = await TestControlPlane.start();
    await cp.addSite('one', '*');
    const token = await cp.addToken('deploy', ['purge']);
    const { body } = await orderAs(cp, 'k', { site: 'one' });
    const other = await orderAs(cp, 'k', { site: 'one', mode: 'hard' });
    expect(other).toMatchObject({ status: 422, body: { code: 'idempotency-mismatch' } });
    expect((await orderAs(cp, 'k', { site: 'one' }, token)).body['id']).not.toBe(body['id']);
    expect((await orderAs(cp, 'é', { site: 'one' })).status).toBe(400);
  });

  test('may be ordered anew where it was refused', async () => {
    const cp = await TestControlPlane.start();
    expect((await orderAs(cp, 'k', { site: 'one' })).status).toBe(404);
    await cp.addSite('one', '*');
    expect((await orderAs(cp, 'k', { site: 'one' })).status).toBe(202);
  });
});

test('a token that purges too much is told when to come back', async () => {
  const cp = await TestControlPlane.start();
  await cp.addSite('one', '*');
  const urls = Array.from({ length: 10_000 }, (_, i) => `http://a/${i}`);
  const order = (token?: string) => cp.call('POST', '/v1/purges', { urls }, token);
  for (let i = 0; i < 2; i++) expect((await order()).status).toBe(202);
  const refused = await order();
  expect(refused).toMatchObject({ status: 429, body: { code: 'too-many-requests' } });
  expect(refused.headers.get('retry-after')).toBe('10');
  expect((await order(await cp.addToken('other', ['purge']))).status).toBe(202);
  cp.clock.advance('10s');
  expect((await order()).status).toBe(202);
});

test('the history is read a page at a time', async () => {
  const cp = await TestControlPlane.start();
  await cp.addSite('one', '*');
  for (const reason of ['a', 'b', 'c']) await cp.purge({ site: 'one', reason });
  const seen: unknown[] = [];
  let next: string | undefined = '/v1/purges?limit=2';
  while (next !== undefined) {
    const page = await cp.call('GET', next);
    seen.push(
      ...(page.body as unknown as PurgeRecord[]).map(({ by, reason }) => `${by} ${reason}`),
    );
    next = /^<(.+)>; rel="next"$/.exec(page.headers.get('link') ?? '')?.[1];
  }
  expect(seen).toEqual(['admin c', 'admin b', 'admin a']);
});

describe('completion', () => {
  test('takes every edge and mid-tier in service, and counts what each reports once', async () => {
    const cp = await TestControlPlane.start();
    await cp.addSite('one', '*');
    const edge = await cp.addNode('edge');
    const midTier = await cp.addNode('mid', 'mid-tier');
    const origin = await cp.addNode('origin', 'origin');
    await cp.addNode('never-seen');
    for (const credential of [edge, midTier, origin]) await cp.heartbeat(credential, 6);
    const purge = await cp.purge({ site: 'one', mode: 'hard', reason: 'a leak' });
    expect(purge).toMatchObject({ by: 'admin', reason: 'a leak' });
    expect(purge).toMatchObject({ status: 'pending', mode: 'hard', sequences: [7] });
    expect(statuses(purge)).toEqual({ edge: 'pending', mid: 'pending' });
    await cp.acknowledge(edge, 6);
    cp.clock.advance('30ms');
    await cp.acknowledge(edge, 7, [report(7)]);
    await cp.acknowledge(edge, 7, [report(7)]);
    expect(statuses(await cp.findPurge(purge))).toEqual({ edge: 'acknowledged', mid: 'pending' });
    const waiting = cp.get<PurgeRecord>(`/v1/purges/${purge.id}?waitMs=60000`);
    cp.clock.advance('20ms');
    await cp.acknowledge(midTier, 7);
    const complete = await waiting;
    expect(complete).toMatchObject({ status: 'complete', completedAt: cp.clock.now() });
    expect(complete.nodes).toEqual([
      {
        node: 'edge',
        tier: 'edge',
        status: 'acknowledged',
        objects: 2,
        bytes: 100,
        fills: 1,
        tookMs: 30,
      },
      {
        node: 'mid',
        tier: 'mid-tier',
        status: 'acknowledged',
        objects: 0,
        bytes: 0,
        fills: 0,
        tookMs: 50,
      },
    ]);
  });

  test('with nobody in service is immediate', async () => {
    const cp = await TestControlPlane.start();
    await cp.addSite('one', '*');
    expect(await cp.purge({ site: 'one' })).toMatchObject({ status: 'complete', nodes: [] });
  });

  test('a wait ends when its time is up, with the purge as it stands', async () => {
    const cp = await TestControlPlane.start();
    await cp.addSite('one', '*');
    await cp.heartbeat(await cp.addNode('edge'), 3);
    const purge = await cp.purge({ site: 'one' });
    let answered = false;
    const waiting = cp.get<PurgeRecord>(`/v1/purges/${purge.id}?waitMs=500`).finally(() => {
      answered = true;
    });
    // Each turn is far less than the lease, so that only the wait can end.
    await eventually(() => {
      cp.clock.advance('100ms');
      expect(answered).toBe(true);
    });
    expect(await waiting).toMatchObject({ status: 'pending' });
    expect((await cp.call('GET', `/v1/purges/${purge.id}?waitMs=60001`)).status).toBe(422);
    expect((await cp.call('GET', '/v1/purges/none')).status).toBe(404);
  });

  test('does without a node once its lease has ended, and that node gets no lease before it caught up', async () => {
    const cp = await TestControlPlane.start();
    await cp.addSite('one', '*');
    const alive = await cp.addNode('alive');
    const dead = await cp.addNode('dead');
    await cp.heartbeat(dead, 4);
    cp.clock.advance('4s');
    await cp.heartbeat(alive, 4);
    const purge = await cp.purge({ site: 'one' });
    await cp.acknowledge(alive, 5);
    cp.clock.advance('5s');
    await cp.heartbeat(alive, 5);
    expect(await cp.findPurge(purge)).toMatchObject({ status: 'pending' });
    cp.clock.advance('1s');
    const complete = await cp.findPurge(purge);
    expect(complete.status).toBe('complete');
    expect(statuses(complete)).toEqual({ alive: 'acknowledged', dead: 'lease-ended' });
    expect((await cp.heartbeat(dead, 4)).body).toMatchObject({
      code: 'unavailable',
      retrySafe: true,
    });
    expect(await cp.get('/v1/nodes')).toMatchObject([
      { name: 'alive', inService: true },
      { name: 'dead', inService: false, lastHeartbeat: { pid: 1 } },
    ]);
    expect((await cp.heartbeat(dead, 5)).status).toBe(200);
  });

  test('a node deleted while it may serve is still waited for', async () => {
    const cp = await TestControlPlane.start();
    await cp.addSite('one', '*');
    await cp.heartbeat(await cp.addNode('edge'), 3);
    await cp.call('DELETE', '/v1/nodes/edge');
    const purge = await cp.purge({ site: 'one' });
    expect(purge.status).toBe('pending');
    cp.clock.advance('10s');
    expect(statuses(await cp.findPurge(purge))).toEqual({ edge: 'lease-ended' });
  });
});

describe('a node that comes back', () => {
  test('further behind than it was acknowledged is waited for again', async () => {
    const cp = await TestControlPlane.start();
    await cp.addSite('one', '*');
    const edge = await cp.addNode('edge');
    const other = await cp.addNode('other');
    for (const credential of [edge, other]) await cp.heartbeat(credential, 4);
    const purge = await cp.purge({ site: 'one' });
    await cp.acknowledge(edge, 5);
    expect(statuses(await cp.findPurge(purge))).toEqual({ edge: 'acknowledged', other: 'pending' });
    const stream = await fetch(`${cp.url}/v1/node/stream`, {
      headers: { authorization: `Bearer ${edge}`, 'last-event-id': '4' },
    });
    expect(statuses(await cp.findPurge(purge))).toEqual({ edge: 'pending', other: 'pending' });
    await stream.body?.cancel();
  });
});

describe('restart', () => {
  test('a pending purge goes on: every known node may be in service for one lease', async () => {
    const cp = await TestControlPlane.start();
    await cp.addSite('one', '*');
    const edge = await cp.addNode('edge');
    await cp.addNode('silent');
    await cp.heartbeat(edge, 4);
    const before = await cp.purge({ site: 'one' });
    expect(statuses(before)).toEqual({ edge: 'pending' });
    await cp.stop();
    await cp.start();
    const ordered = await cp.purge({ site: 'one' });
    for (const purge of [before, ordered]) {
      expect(statuses(await cp.findPurge(purge))).toEqual({ edge: 'pending', silent: 'pending' });
    }
    await cp.acknowledge(edge, 6, [report(5), report(6)]);
    cp.clock.advance('9s');
    expect(await cp.findPurge(before)).toMatchObject({ status: 'pending' });
    cp.clock.advance('1s');
    for (const purge of [before, ordered]) {
      expect(statuses(await cp.findPurge(purge))).toEqual({
        edge: 'acknowledged',
        silent: 'lease-ended',
      });
    }
    await eventually(async () => {
      expect(await cp.findPurge(before)).toMatchObject({ status: 'complete' });
    });
    await cp.stop();
    await cp.start();
    expect(await cp.findPurge(before)).toMatchObject({
      status: 'complete',
      nodes: [{ node: 'edge', objects: 2 }, { node: 'silent' }],
    });
    expect((await cp.heartbeat(edge, 5)).status).toBe(503);
    expect(await cp.get('/v1/purges')).toMatchObject([{ id: ordered.id }, { id: before.id }]);
  });
});
