import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Tier } from '#core/contract/node.ts';
import { eventually, temporaryDir, TestControlPlane } from '#test/control-plane/kit.ts';
import { type LinkOptions, TestLink, whileTimePasses } from './kit.ts';

/** A control plane with a site, and what a node of it needs. */
async function network(tier: Tier = 'edge') {
  const cp = await TestControlPlane.start();
  await cp.addSite('one', '*');
  const credential = await cp.addNode('node', tier);
  const dir = await temporaryDir();
  const { clock } = cp;
  const link = (options: Partial<LinkOptions> = {}): TestLink =>
    new TestLink({ urls: [cp.url], credential, dir, clock, ...options });
  return { cp, clock, credential, dir, link };
}

const nodeIn = async (cp: TestControlPlane): Promise<Record<string, unknown> | undefined> =>
  (await cp.list('/v1/nodes')).find(({ name }) => name === 'node');

describe('following the journal', () => {
  test('starts with a snapshot, goes on with events, and acknowledges each', async () => {
    const { cp, link } = await network();
    const node = link();
    await node.link.start();
    expect(node.applied).toMatchObject([{ sequence: 3, reset: true }]);
    expect(node.applied[0]?.config).toMatchObject({
      sites: [{ name: 'one' }],
      nodes: [{ name: 'node' }],
    });
    await cp.addSite('two', 'two.example');
    await cp.purge({ site: 'one' });
    await eventually(async () => expect(await nodeIn(cp)).toMatchObject({ fence: 5 }));
    expect(node.log).toEqual(['3 snapshot', '4 sites.change', '5 purge']);
    expect(node.applied.slice(1).every(({ reset }) => !reset)).toBe(true);
    expect(node.link.fence).toBe(5);
  });

  test.for([
    ['edge', false],
    ['mid-tier', false],
    ['router', false],
    ['origin', true],
  ] as const)('a node of tier %s is told the publish key: %s', async ([tier, told]) => {
    const { cp, link } = await network(tier);
    const node = link();
    await node.link.start();
    const { network: keys } = node.applied[0]?.config ?? {};
    expect(keys?.tierKey).toMatch(/^[\w-]{43}$/);
    expect(keys?.publishKey !== undefined).toBe(told);
    const replay = await fetch(`${cp.url}/v1/node/stream?after=0`, {
      headers: { authorization: `Bearer ${await cp.addNode('other', tier)}` },
    });
    const reader = replay.body?.getReader();
    const first = new TextDecoder().decode((await reader?.read())?.value);
    expect(first).toContain('network.put');
    expect(first.includes('publishKey')).toBe(told);
    await reader?.cancel();
  });

  test('acknowledges only after the event is applied', async () => {
    const { cp, link } = await network();
    const gate = Promise.withResolvers<void>();
    const reached = Promise.withResolvers<void>();
    const node = link({
      apply: async (event) => {
        if (event?.type !== 'purge') return;
        reached.resolve();
        await gate.promise;
      },
    });
    await node.link.start();
    await eventually(async () => expect(await nodeIn(cp)).toMatchObject({ inService: true }));
    const purge = await cp.purge({ site: 'one' });
    await reached.promise;
    expect(node.link.fence).toBe(3);
    expect(await cp.findPurge(purge)).toMatchObject({ status: 'pending' });
    expect(await nodeIn(cp)).toMatchObject({ fence: 3 });
    gate.resolve();
    await eventually(async () => {
      expect(await cp.findPurge(purge)).toMatchObject({
        status: 'complete',
        nodes: [{ node: 'node', status: 'acknowledged', objects: 1, bytes: 10 }],
      });
    });
  });

  test('an event that could not be applied is not acknowledged, and comes again', async () => {
    const { cp, clock, link } = await network();
    let failures = 2;
    const node = link({
      apply: async (event) => {
        if (event !== undefined && failures-- > 0) throw new Error('worker is gone');
      },
    });
    await node.link.start();
    await cp.addSite('two', 'two.example');
    await eventually(() => expect(failures).toBe(1));
    expect(await nodeIn(cp)).toMatchObject({ fence: 3 });
    await whileTimePasses(clock, async () => expect(await nodeIn(cp)).toMatchObject({ fence: 4 }));
    expect(node.log).toEqual(['3 snapshot', '4 sites.change']);
  });

  test('waitForFence tells whether the fence came in time', async () => {
    const { cp, clock, link } = await network();
    const node = link();
    await node.link.start();
    expect(await node.link.waitForFence(3, 0)).toBe(true);
    const inTime = node.link.waitForFence(4, 100);
    const tooLate = node.link.waitForFence(5, 100);
    await cp.addSite('two', 'two.example');
    expect(await inTime).toBe(true);
    clock.advance('100ms');
    expect(await tooLate).toBe(false);
  });

  test('the second of two streams of a node replaces the first', async () => {
    const { cp, link, dir } = await network();
    const first = link();
    await first.link.start();
    const second = link({ dir: join(dir, 'second') });
    await second.link.start();
    await cp.addSite('two', 'two.example');
    await eventually(() => expect(second.log).toEqual(['3 snapshot', '4 sites.change']));
    expect(first.log).toEqual(['3 snapshot']);
  });
});

describe('outages', () => {
  test('resumes without loss or repetition after the control plane was restarted', async () => {
    const { cp, clock, link } = await network();
    const node = link();
    await node.link.start();
    await cp.addSite('two', 'two.example');
    await eventually(() => expect(node.link.fence).toBe(4));
    await cp.stop();
    await cp.start();
    await whileTimePasses(clock, async () => {
      expect(await nodeIn(cp)).toMatchObject({
        fence: 4,
        lastHeartbeat: expect.anything() as unknown,
      });
    });
    await cp.addSite('three', 'three.example');
    await cp.purge({ site: 'one' });
    await whileTimePasses(clock, () => expect(node.link.fence).toBe(6));
    expect(node.log).toEqual(['3 snapshot', '4 sites.change', '5 sites.change', '6 purge']);
    // An acknowledgement that failed with the old connection is sent again only as time passes.
    await whileTimePasses(clock, async () => {
      expect(await nodeIn(cp)).toMatchObject({ fence: 6, inService: true });
    });
  });

  test('a restarted node goes on from its last good config', async () => {
    const { cp, link } = await network();
    const before = link();
    await before.link.start();
    await before.link.stop();
    await cp.purge({ site: 'one' });
    await cp.addSite('two', 'two.example');
    const after = link();
    await after.link.start();
    expect(after.log).toEqual(['3 snapshot', '4 purge', '5 sites.change']);
    expect(after.applied[0]?.reset).toBe(false);
  });

  test('without a control plane it starts by its last good config after 2 s, and catches up later', async () => {
    const { cp, clock, link } = await network();
    const before = link();
    await before.link.start();
    await before.link.stop();
    await cp.purge({ site: 'one' });
    await cp.stop();
    const node = link();
    let started = false;
    const starting = node.link.start().then(() => (started = true));
    await eventually(() => expect(node.log).toEqual(['3 snapshot']));
    clock.advance('1999ms');
    await eventually(() => expect(node.link.fence).toBe(3));
    expect(started).toBe(false);
    await whileTimePasses(clock, () => expect(started).toBe(true));
    await starting;
    expect(node.link.lease.ended()).toBe(true);
    await cp.start();
    await whileTimePasses(clock, () => expect(node.log).toEqual(['3 snapshot', '4 purge']));
    await eventually(() => expect(node.link.lease.ended()).toBe(false));
  });

  test('with neither it starts once there is a control plane', async () => {
    const { cp, clock, link } = await network();
    await cp.stop();
    const node = link();
    let started = false;
    const starting = node.link.start().then(() => (started = true));
    clock.advance('30s');
    await cp.start();
    expect(started).toBe(false);
    await whileTimePasses(clock, () => expect(started).toBe(true));
    await starting;
    expect(node.log).toEqual(['3 snapshot']);
  });

  test('tries the replicas in turn', async () => {
    const { cp, clock, link } = await network();
    const node = link({ urls: ['http://127.0.0.1:1', cp.url] });
    const starting = node.link.start();
    await whileTimePasses(clock, () => expect(node.link.fence).toBe(3));
    await starting;
    await eventually(() => expect(node.link.lease.ended()).toBe(false));
  });

  test.for([
    ['does not reach to its fence', 99],
    ['is another one of the same length', 3],
  ])('a journal that %s resets the node', async ([, sequence = 0]) => {
    const { dir, link } = await network();
    const keys = { tierKey: 'a-key-of-16-chars' };
    const known = { journal: 'another', sequence, network: keys, sites: [], nodes: [] };
    await writeFile(join(dir, 'config.json'), JSON.stringify(known));
    const node = link();
    await node.link.start();
    await eventually(() => expect(node.applied).toHaveLength(2));
    expect(node.applied).toMatchObject([
      { sequence, reset: false },
      { sequence: 3, reset: true, config: { sites: [{ name: 'one' }] } },
    ]);
  });

  test('a stop before there is a configuration ends the start', async () => {
    const { link } = await network();
    const node = link({ credential: 'wrong' });
    const starting = node.link.start();
    const [started] = await Promise.allSettled([starting, node.link.stop()]);
    expect(started).toMatchObject({ status: 'rejected', reason: { code: 'unavailable' } });
    expect(node.applied).toEqual([]);
  });
});

describe('leases', () => {
  test('are renewed while the control plane answers, and end without it, first for the node', async () => {
    const { cp, clock, link } = await network();
    const node = link();
    await node.link.start();
    await eventually(() => expect(node.link.lease.ended()).toBe(false));
    for (let quarter = 0; quarter < 8; quarter++) {
      const before = node.link.lease.endsAtMonotonicMs;
      clock.advance('2500ms');
      await eventually(() => expect(node.link.lease.endsAtMonotonicMs).toBeGreaterThan(before));
    }
    await cp.stop();
    clock.advance('8999ms');
    expect(node.link.lease.ended()).toBe(false);
    clock.advance('1ms');
    expect(node.link.lease.ended()).toBe(true);
  });

  test('a purge completes without a node that died, once its lease has ended', async () => {
    const { cp, clock, link } = await network();
    const node = link();
    await node.link.start();
    await eventually(async () => expect(await nodeIn(cp)).toMatchObject({ inService: true }));
    // It cannot say that it leaves.
    await cp.stop();
    await node.link.stop();
    await cp.start();
    const purge = await cp.purge({ site: 'one' });
    const waiting = cp.get(`/v1/purges/${purge.id}?waitMs=60000`);
    clock.advance('9s');
    expect(await cp.findPurge(purge)).toMatchObject({ status: 'pending' });
    expect(node.link.lease.ended()).toBe(true);
    clock.advance('1s');
    const complete = { status: 'complete', nodes: [{ node: 'node', status: 'lease-ended' }] };
    expect(await cp.findPurge(purge)).toMatchObject(complete);
    expect(await waiting).toMatchObject(complete);
  });
});
