import { describe, expect, test } from 'vitest';
import type { NodePush, PushRecord } from '#control-plane/push/record.ts';
import type { PushAnswer, PushCounts, PushReport } from '#core/contract/push.ts';
import { eventually, TestControlPlane } from './kit.ts';

const NOTHING: PushCounts = { placed: 0, fetched: 0, elsewhere: 0, failed: 0, bytes: 0 };

const urls = (count: number): string[] =>
  Array.from({ length: count }, (_, i) => `http://one.example/${i}`);

/** Two edges and a mid-tier, of which nothing is known but what the test says for them. */
async function network() {
  const cp = await TestControlPlane.start();
  await cp.addSite('one', 'one.example');
  await cp.addSite('two', 'two.example');
  const oslo = await cp.addNode('oslo');
  const rome = await cp.addNode('rome');
  const london = await cp.addNode('london', 'mid-tier');
  return { cp, oslo, rome, london };
}

const order = async (cp: TestControlPlane, body: object): Promise<PushRecord> =>
  (await cp.call('POST', '/v1/pushes', body)).body as unknown as PushRecord;

const find = (cp: TestControlPlane, { id }: PushRecord): Promise<PushRecord> =>
  cp.get<PushRecord>(`/v1/pushes/${id}`);

const nodeOf = (push: PushRecord, name: string): NodePush | undefined =>
  push.nodes?.find(({ node }) => node === name);

/** A node says what it has done, and asks for more. */
async function ask(cp: TestControlPlane, credential: string, report?: PushReport, idle = true) {
  const { status, body } = await cp.call('POST', '/v1/node/pushes', { report, idle }, credential);
  expect(status).toBe(200);
  return body as unknown as PushAnswer;
}

/** The report on all of what was given. */
function done({ work }: PushAnswer, counts: Partial<PushCounts> = {}): PushReport {
  if (work === null) throw new Error('There is no work');
  const { push, from, urls: given } = work;
  const all = { ...NOTHING, placed: given.length, fetched: given.length, ...counts };
  return { push, from, through: from + given.length, counts: all, failures: [] };
}

describe('ordering', () => {
  test('one that is ordered again under its Idempotency-Key is the same', async () => {
    const { cp } = await network();
    const ordered = (body: object, token?: string) =>
      cp.call('POST', '/v1/pushes', body, token, { 'idempotency-key': '"k"' });
    const first = await ordered({ urls: urls(3) });
    const again = await Promise.all([ordered({ urls: urls(3) }), ordered({ urls: urls(3) })]);
    expect(again.map(({ body }) => body['id'])).toEqual([first.body['id'], first.body['id']]);
    const other = await ordered({ urls: urls(4) });
    expect(other).toMatchObject({ status: 422, body: { code: 'idempotency-mismatch' } });
    // Another's key is another key, and what was refused may be sent in other words.
    const publisher = await cp.addToken('publisher', ['publish']);
    expect((await ordered({ urls: ['http://nobody.example/'] }, publisher)).status).toBe(422);
    expect((await ordered({ urls: urls(4) }, publisher)).status).toBe(202);
    expect(await cp.list('/v1/pushes')).toHaveLength(2);
  });

  test('one event of the journal tells all, and nodes ask for what is theirs', async () => {
    const { cp, oslo, london } = await network();
    const answer = await cp.call('POST', '/v1/pushes', { urls: urls(3), reason: 'the match' });
    expect(answer.status).toBe(202);
    const id = String(answer.body['id']);
    expect(answer.headers.get('location')).toBe(`/v1/pushes/${id}`);
    expect(answer.body).toMatchObject({
      status: 'running',
      sites: ['one'],
      urls: 3,
      by: 'admin',
      reason: 'the match',
      nodes: [
        { node: 'oslo', tier: 'edge', location: 'oslo', status: 'pending', objects: 3, placed: 0 },
        { node: 'rome' },
      ],
    });
    expect(await cp.list('/v1/journal?after=6')).toMatchObject([
      { sequence: 7, type: 'push', push: { id, change: 'ordered' } },
    ]);
    expect(await ask(cp, oslo)).toMatchObject({
      work: { push: id, from: 0, urls: urls(3), concurrency: 4, bytesPerSecond: null },
    });
    expect(await ask(cp, london)).toEqual({ goesOn: true, work: null });
  });

  test.for<[to: object, nodes: readonly string[]]>([
    [{ tier: 'mid-tier' }, ['london']],
    [{ nodes: ['rome', 'london'] }, ['london', 'rome']],
    [{ nodes: ['rome', 'london'], tier: 'edge' }, ['rome']],
    [{ locations: ['oslo'] }, ['oslo', 'rome']],
  ])('%j', async ([to, nodes]) => {
    const { cp } = await network();
    const push = await order(cp, { urls: urls(1), to });
    expect(push.nodes?.map(({ node }) => node)).toEqual(nodes);
  });

  test.for<[what: string, body: object, status: number]>([
    ['nothing', {}, 422],
    ['a relative URL', { urls: ['/a'] }, 422],
    ['a host of no site', { urls: ['http://three.example/'] }, 422],
    ['a sitemap of no site', { sitemaps: ['http://169.254.169.254/meta'] }, 422],
    ['an unknown node', { urls: urls(1), to: { nodes: ['paris'] } }, 422],
    ['an unknown location', { urls: urls(1), to: { locations: ['paris'] } }, 422],
    ['a field that is no choice', { urls: urls(1), variants: [{ fields: { range: 'x' } }] }, 422],
    ['a tier that holds no copies', { urls: urls(1), to: { tier: 'origin' } }, 422],
  ])('%s is refused, and nothing is pushed', async ([, body, status]) => {
    const { cp } = await network();
    expect((await cp.call('POST', '/v1/pushes', body)).status).toBe(status);
    expect(await cp.sequence()).toBe(6);
    expect(await cp.list('/v1/pushes')).toEqual([]);
  });

  test('a draining node is left out', async () => {
    const { cp } = await network();
    await cp.call('POST', '/v1/nodes/oslo/drain');
    const push = await order(cp, { urls: urls(1) });
    expect(push.nodes?.map(({ node }) => node)).toEqual(['rome']);
  });

  test('tokens push and see what is of their sites', async () => {
    const { cp } = await network();
    const one = await cp.addToken('one', ['publish', 'read'], ['one']);
    const two = await cp.addToken('two', ['publish', 'read'], ['two']);
    const reader = await cp.addToken('reader', ['read']);
    const body = { urls: urls(1) };
    expect((await cp.call('POST', '/v1/pushes', body, reader)).status).toBe(403);
    expect((await cp.call('POST', '/v1/pushes', body, two)).status).toBe(403);
    const { id } = (await cp.call('POST', '/v1/pushes', body, one)).body;
    expect((await cp.call('GET', `/v1/pushes/${String(id)}`, undefined, two)).status).toBe(404);
    expect((await cp.call('POST', `/v1/pushes/${String(id)}/cancel`, {}, two)).status).toBe(404);
    expect((await cp.call('GET', '/v1/pushes', undefined, two)).body['items']).toEqual([]);
    expect((await cp.call('GET', '/v1/pushes', undefined, one)).body['items']).toMatchObject([
      { id },
    ]);
  });
});

describe('progress', () => {
  test('is kept by node, some URLs at a time, until all are through', async () => {
    const { cp, oslo, rome } = await network();
    await cp.heartbeat(oslo, 6);
    await cp.heartbeat(rome, 6);
    const push = await order(cp, { urls: urls(100), variants: [{}, { country: 'AT' }] });
    const first = await ask(cp, oslo);
    const given = first.work?.urls.length ?? 0;
    expect(given).toBeLessThan(100);
    const { push: id, from } = done(first);
    const failures = [{ url: 'http://one.example/0', reason: 'status-404' }];
    const soFar = { ...NOTHING, placed: 3, failed: 1, bytes: 30 };
    const interim = { push: id, from, through: from, counts: soFar, failures };
    expect(await ask(cp, oslo, interim, false)).toEqual({ goesOn: true, work: null });
    expect(nodeOf(await find(cp, push), 'oslo')).toMatchObject({ ...soFar, objects: 200 });
    const second = await ask(cp, oslo, { ...done(first, { failed: 2 }), failures });
    expect(second.work).toMatchObject({ from: given, urls: urls(100).slice(given) });
    // A report that came twice, for its answer was lost, counts once.
    await ask(cp, oslo, { ...done(first, { failed: 2 }), failures });
    cp.clock.advance('3s');
    await ask(cp, oslo, done(second));
    expect(nodeOf(await find(cp, push), 'oslo')).toMatchObject({
      status: 'complete',
      placed: 100,
      failed: 2,
      failures,
      tookMs: 3000,
    });
    expect(await find(cp, push)).toMatchObject({ status: 'running' });
    const waiting = cp.get<PushRecord>(`/v1/pushes/${push.id}?waitMs=60000`);
    let work = await ask(cp, rome);
    while (work.work !== null) work = await ask(cp, rome, done(work));
    expect(await waiting).toMatchObject({
      status: 'complete',
      endedAt: cp.clock.now(),
      nodes: [{ status: 'complete' }, { status: 'complete', placed: 100 }],
    });
    expect(await ask(cp, rome)).toEqual({ goesOn: true, work: null });
    expect((await cp.list<PushRecord>('/v1/pushes'))[0]).toMatchObject({ status: 'complete' });
  });

  test('is gone on with after a restart of the node or of the control plane', async () => {
    const { cp, oslo } = await network();
    const push = await order(cp, { urls: urls(100), to: { nodes: ['oslo'] } });
    const first = await ask(cp, oslo);
    const { push: id, from, through } = done(first);
    const interim = {
      push: id,
      from,
      through: from,
      counts: { ...NOTHING, placed: 9 },
      failures: [],
    };
    await ask(cp, oslo, interim, false);
    // The node that was restarted knows nothing of it.
    expect(await ask(cp, oslo)).toEqual(first);
    await ask(cp, oslo, {
      push: id,
      from,
      through,
      counts: { ...NOTHING, placed: 64 },
      failures: [],
    });
    await cp.stop();
    await cp.start();
    const second = await ask(cp, oslo);
    expect(second.work?.from).toBe(through);
    await ask(cp, oslo, done(second));
    expect(await find(cp, push)).toMatchObject({ status: 'complete', nodes: [{ placed: 100 }] });
  });

  test('what was not begun is given again', async () => {
    const { cp, oslo } = await network();
    await order(cp, { urls: urls(10), to: { nodes: ['oslo'] } });
    const { push, from } = done(await ask(cp, oslo));
    const some = { push, from, through: from + 4, counts: { ...NOTHING, placed: 4 }, failures: [] };
    expect((await ask(cp, oslo, some)).work).toMatchObject({ from: 4, urls: urls(10).slice(4) });
  });

  test('a push of a higher priority comes first, then the older', async () => {
    const { cp, oslo } = await network();
    const to = { nodes: ['oslo'] };
    const low = await order(cp, { urls: urls(1), to, priority: 'low' });
    const normal = await order(cp, { urls: urls(1), to });
    const later = await order(cp, { urls: urls(1), to });
    const high = await order(cp, { urls: urls(1), to, priority: 'high' });
    const taken: string[] = [];
    let work = await ask(cp, oslo);
    for (; work.work !== null; work = await ask(cp, oslo, done(work))) taken.push(work.work.push);
    expect(taken).toEqual([high.id, normal.id, later.id, low.id]);
    const listed = await cp.list<PushRecord>('/v1/pushes?limit=2');
    expect(listed.map(({ id }) => id)).toEqual([high.id, later.id]);
    const rest = await cp.list<PushRecord>(`/v1/pushes?after=${later.id}`);
    expect(rest.map(({ id }) => id)).toEqual([normal.id, low.id]);
  });
});

describe('an end before the end', () => {
  test('cancelled: nodes are told by the journal, and by the answer to what they report', async () => {
    const { cp, oslo, rome } = await network();
    const push = await order(cp, { urls: urls(3) });
    const work = await ask(cp, oslo);
    const waiting = cp.get<PushRecord>(`/v1/pushes/${push.id}?waitMs=60000`);
    const cancelled = await cp.call('POST', `/v1/pushes/${push.id}/cancel`);
    expect(cancelled.body).toMatchObject({
      status: 'cancelled',
      nodes: [{ status: 'pending' }, {}],
    });
    expect(await waiting).toMatchObject({ status: 'cancelled' });
    expect(await cp.list('/v1/journal?after=7')).toMatchObject([
      { push: { id: push.id, change: 'cancelled' } },
    ]);
    expect(await ask(cp, oslo, done(work))).toEqual({ goesOn: false, work: null });
    expect(await ask(cp, rome)).toEqual({ goesOn: true, work: null });
    const again = await cp.call('POST', `/v1/pushes/${push.id}/cancel`);
    expect(again).toMatchObject({ status: 409, body: { code: 'conflict' } });
    expect((await cp.call('POST', '/v1/pushes/none/cancel')).status).toBe(404);
  });

  test('a node that is gone is waited for a while, then no more', async () => {
    const { cp, oslo, rome } = await network();
    await cp.heartbeat(oslo, 6);
    await cp.heartbeat(rome, 6);
    const push = await order(cp, { urls: urls(3) });
    await ask(cp, rome);
    await ask(cp, oslo, done(await ask(cp, oslo)));
    cp.clock.advance('20s');
    expect(await find(cp, push)).toMatchObject({ status: 'running' });
    await eventually(async () => {
      cp.clock.advance('5s');
      expect(await find(cp, push)).toMatchObject({
        status: 'complete',
        nodes: [
          { node: 'oslo', status: 'complete' },
          { node: 'rome', status: 'lease-ended', tookMs: null },
        ],
      });
    });
    expect(await ask(cp, rome)).toEqual({ goesOn: true, work: null });
  });

  test('expired: what is left is not pushed any more', async () => {
    const { cp, oslo, rome } = await network();
    const push = await order(cp, { urls: urls(3), expiresInSeconds: 60 });
    const work = await ask(cp, oslo);
    const alive = async () => {
      await cp.heartbeat(oslo, 7);
      await cp.heartbeat(rome, 7);
    };
    await alive();
    for (let i = 0; i < 12; i++) {
      cp.clock.advance('5s');
      await alive();
    }
    expect(await ask(cp, oslo, done(work))).toEqual({ goesOn: false, work: null });
    await eventually(async () => {
      cp.clock.advance('5s');
      expect(await find(cp, push)).toMatchObject({ status: 'expired' });
    });
  });
});
