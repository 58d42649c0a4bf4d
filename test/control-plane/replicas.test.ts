import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { TestLink, whileTimePasses } from '#test/node/kit.ts';
import { RedisServer } from '#test/redis.ts';
import { FakeClock } from '#test/scenario/kit/clock.ts';
import { eventually, temporaryDir, TestControlPlane } from './kit.ts';

// Two control planes, one real Redis.

let redis: RedisServer;
beforeAll(async () => void (redis = await RedisServer.start()));
beforeEach(async () => void (await redis.command('FLUSHALL')));
afterAll(() => redis.end());

const reaches = (cp: TestControlPlane, sequence: number) =>
  eventually(async () => expect(await cp.sequence()).toBe(sequence));

async function replicas() {
  const clock = new FakeClock();
  const options = { redisUrl: redis.url, clock };
  const a = await TestControlPlane.start(options);
  const b = await TestControlPlane.start(options);
  await a.addSite('one', '*');
  const [edge, other] = [await a.addNode('edge'), await a.addNode('other')];
  await reaches(b, 4);
  // The leases that each presumes at its start are over.
  clock.advance('10s');
  return { a, b, clock, edge, other };
}

const report = (sequence: number) => ({ sequence, objects: 2, bytes: 100, fills: 1 });

describe('purges', () => {
  test('ordered at one complete by what nodes tell the other, and both know it', async () => {
    const { a, b, edge, other } = await replicas();
    await b.heartbeat(edge, 4);
    await a.heartbeat(other, 4);
    const purge = await a.purge({ site: 'one' });
    expect(purge).toMatchObject({ status: 'pending', nodes: [{}, {}] });
    const waiting = [a, b].map((cp) => cp.get(`/v1/purges/${purge.id}?waitMs=60000`));
    await b.acknowledge(edge, 5, [report(5)]);
    await b.acknowledge(edge, 5, [report(5)]);
    await a.acknowledge(other, 5, [report(5)]);
    const complete = {
      status: 'complete',
      nodes: [
        { node: 'edge', status: 'acknowledged', objects: 2 },
        { node: 'other', status: 'acknowledged', objects: 2 },
      ],
    };
    for (const answer of await Promise.all(waiting)) expect(answer).toMatchObject(complete);
    for (const cp of [a, b]) expect(await cp.findPurge(purge)).toMatchObject(complete);
  });

  test('wait for a lease that the other has granted, for all of it', async () => {
    const { a, b, clock, edge } = await replicas();
    await b.heartbeat(edge, 4);
    const purge = await a.purge({ site: 'one' });
    expect(purge).toMatchObject({ status: 'pending', nodes: [{ node: 'edge' }] });
    // Renewed at b, so that what a has seen of it counts no more.
    clock.advance('9s');
    await b.heartbeat(edge, 4);
    clock.advance('9s');
    await a.acknowledge(await a.addNode('third'), 4);
    expect(await a.findPurge(purge)).toMatchObject({ status: 'pending' });
    await eventually(async () => {
      clock.advance('1s');
      expect(await a.findPurge(purge)).toMatchObject({
        status: 'complete',
        nodes: [{ node: 'edge', status: 'lease-ended' }],
      });
    });
    expect((await b.heartbeat(edge, 4)).status).toBe(503);
    expect((await a.heartbeat(edge, 5)).status).toBe(200);
  });

  test('wait for leases that Redis may have lost with the connection', async () => {
    const { a, b, edge } = await replicas();
    await b.heartbeat(edge, 4);
    await redis.command('DEL', '{canopy}:grants');
    await redis.command('CLIENT', 'KILL', 'TYPE', 'normal');
    const purge = await eventually(async () => {
      const { status, body } = await a.call('POST', '/v1/purges', { site: 'one' });
      expect(status).toBe(202);
      return body;
    });
    expect(purge).toMatchObject({
      status: 'pending',
      nodes: [{ node: 'edge' }, { node: 'other' }],
    });
  });

  test('ordered by one that is gone are followed by the other', async () => {
    const { a, b, edge } = await replicas();
    await a.heartbeat(edge, 4);
    const purge = await a.purge({ site: 'one' });
    await a.stop();
    await reaches(b, 5);
    await b.acknowledge(edge, 5, [report(5)]);
    await eventually(async () => {
      expect(await b.findPurge(purge)).toMatchObject({
        status: 'complete',
        nodes: [{ objects: 2 }],
      });
    });
  });
});

const orderAs = (cp: TestControlPlane, key: string) =>
  cp.call('POST', '/v1/purges', { site: 'one' }, undefined, { 'idempotency-key': key });

test('the same order sent to both at once is one purge', async () => {
  const { a, b } = await replicas();
  for (const key of ['1', '2', '3', '4', '5']) {
    const [atA, atB] = await Promise.all([a, b].map((cp) => orderAs(cp, key)));
    expect([atA?.status, atB?.status]).toEqual([202, 202]);
    expect(atA?.body['id']).toBe(atB?.body['id']);
  }
  expect(await a.list('/v1/purges')).toHaveLength(5);
});

const put = (cp: TestControlPlane, name: string) =>
  cp.call('PUT', `/v1/sites/${name}`, { hosts: ['same.example'], origin: { kind: 'push' } });

describe('the journal', () => {
  test('takes what both write at once, each on what the other left', async () => {
    const { a, b } = await replicas();
    const names = Array.from({ length: 20 }, (_, i) => `s${i}`);
    await Promise.all(names.map((name, i) => (i % 2 ? a : b).addSite(name, `${name}.example`)));
    await Promise.all([a, b].map((cp) => reaches(cp, 24)));
    const [fromA, fromB] = await Promise.all([a, b].map((cp) => cp.list('/v1/journal')));
    expect(fromA).toEqual(fromB);
    expect((await b.list('/v1/sites')).length).toBe(21);
  });

  test('gives a host to one of two who claim it at once', async () => {
    const { a, b } = await replicas();
    const answers = await Promise.all([put(a, 'two'), put(b, 'three')]);
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([201, 409]));
  });

  test('is followed without loss or repetition by a node that turns to the other', async () => {
    const { a, b, clock, edge } = await replicas();
    const node = new TestLink({
      urls: [a.url, b.url],
      credential: edge,
      dir: await temporaryDir(),
      clock,
    });
    await node.link.start();
    await a.addSite('two', 'two.example');
    await eventually(() => expect(node.link.fence).toBe(5));
    await a.stop();
    const purge = await b.purge({ site: 'one' });
    await whileTimePasses(clock, () => expect(node.link.fence).toBe(6));
    await a.start();
    await b.stop();
    await a.addSite('three', 'three.example');
    await whileTimePasses(clock, () => expect(node.link.fence).toBe(7));
    expect(node.log).toEqual(['4 snapshot', '5 sites.change', '6 purge', '7 sites.change']);
    await whileTimePasses(clock, async () => {
      expect(await a.findPurge(purge)).toMatchObject({ status: 'complete' });
    });
  });

  test('that has lost its end gets another identity, and nodes a snapshot', async () => {
    const { a, b, clock, edge } = await replicas();
    const node = new TestLink({
      urls: [a.url, b.url],
      credential: edge,
      dir: await temporaryDir(),
      clock,
    });
    await node.link.start();
    const before = node.applied[0]?.config.journal;
    await a.addSite('two', 'two.example');
    await eventually(() => expect(node.link.fence).toBe(5));
    // As a server that had not heard of the last event yet when it took over.
    await redis.command('XDEL', '{canopy}:journal', '5-0');
    await redis.command('HDEL', '{canopy}:sites', 'two');
    await redis.command('HSET', '{canopy}:head', 'sequence', '4');
    await redis.command('CLIENT', 'KILL', 'TYPE', 'normal');
    await whileTimePasses(clock, () => expect(node.applied.at(-1)?.reset).toBe(true));
    const { journal, sequence, sites } = node.applied.at(-1)?.config ?? {};
    expect(journal).not.toBe(before);
    expect(sequence).toBeGreaterThan(5);
    expect(sites).toMatchObject([{ name: 'one' }]);
    for (const cp of [a, b]) {
      await eventually(async () => expect(await cp.sequence()).toBe(sequence));
    }
  });
});

test('a rotation that one began is ended by the other', async () => {
  const { a, b, clock } = await replicas();
  await a.call('POST', '/v1/network/rotate-tier-key');
  await a.stop();
  await reaches(b, 5);
  await whileTimePasses(clock, async () => {
    expect(await b.get('/v1/network')).toEqual({ tierKeyRotation: 'none' });
  });
  expect(await b.sequence()).toBe(7);
});

const site = (name: string) => ({ name, hosts: [`${name}.example`], origin: { kind: 'push' } });

describe('versions of the configuration', () => {
  test('are one history, and one at a time wins', async () => {
    const { a, b } = await replicas();
    const answers = await Promise.all(
      [a, b, a, b].map((cp, i) => cp.call('PUT', `/v1/sites/s${i}`, site(`s${i}`))),
    );
    expect(answers.map(({ body }) => String(body['version'])).toSorted()).toEqual([
      '2',
      '3',
      '4',
      '5',
    ]);
    const fields = { 'if-match': '"5"' };
    const raced = await Promise.all(
      [a, b].map((cp, i) =>
        cp.call('POST', '/v1/config', { sites: [site(`r${i}`)] }, undefined, fields),
      ),
    );
    expect(raced.map(({ status }) => String(status)).toSorted()).toEqual(['202', '412']);
  });

  test('refused at one are taken back although the other made them, as canaries too', async () => {
    const { a, b, clock, edge } = await replicas();
    await b.heartbeat(edge, 4);
    const changed = { ...site('one'), hosts: ['*'], shieldGroup: 'moon' };
    for (const canary of [['edge'], undefined]) {
      const { body } = await a.call('POST', '/v1/config', { sites: [changed], canary });
      const { number, sequence } = body['version'] as { number: number; sequence: number };
      const refusals = [{ sequence, reason: 'not here' }];
      await b.call('POST', '/v1/node/acknowledgements', { fence: sequence, refusals }, edge);
      expect(await a.get(`/v1/config/versions/${number}`)).toMatchObject({
        status: 'halted',
        refusals: [{ node: 'edge', reason: 'not here' }],
      });
      await eventually(async () =>
        expect(await a.get('/v1/config')).toMatchObject({ sites: [{ shieldGroup: null }] }),
      );
      clock.advance('1s');
    }
    expect((await b.call('PUT', '/v1/sites/two', site('two'))).status).toBe(201);
  });
});
