import { describe, expect, test } from 'vitest';
import { nextPhase, rotationPhase } from '#control-plane/keys/rotation.ts';
import { isTierKey } from '#core/tree/tier-key.ts';
import { eventually, TestControlPlane } from './kit.ts';

const OLD = 'the-old-key-of-the-tiers';
const NEW = 'the-new-key-of-the-tiers';
const LOOK = '500ms';

const phase = async (cp: TestControlPlane): Promise<unknown> =>
  (await cp.get<{ tierKeyRotation: unknown }>('/v1/network')).tierKeyRotation;

test('a rotation goes through its phases and ends with the new key alone', () => {
  const network = { tierKey: OLD, publishKey: 'a-key-that-must-be-kept' };
  const announced = nextPhase(network, NEW);
  expect(announced).toEqual({ ...network, nextTierKey: NEW });
  const switched = nextPhase(announced, 'never used');
  expect(switched).toEqual({ ...network, tierKey: NEW, previousTierKey: OLD });
  const done = nextPhase(switched, 'never used');
  expect(done).toEqual({ ...network, tierKey: NEW });
  expect([network, announced, switched, done].map(rotationPhase)).toEqual([
    'none',
    'announced',
    'switched',
    'none',
  ]);
});

test('a node in one phase takes what nodes in the phases next to it present', () => {
  const phases = [{ tierKey: OLD }];
  while (phases.length < 4) phases.push(nextPhase(phases.at(-1) ?? { tierKey: OLD }, NEW));
  const refusals = phases.flatMap((asked, i) =>
    phases.slice(Math.max(0, i - 1), i + 2).filter((asking) => !isTierKey(asking.tierKey, asked)),
  );
  expect(refusals).toEqual([]);
  expect(isTierKey(OLD, phases[3] ?? { tierKey: OLD })).toBe(false);
  expect(isTierKey(undefined, { tierKey: OLD })).toBe(false);
});

describe('the control plane', () => {
  test('begins a phase only when every node in service has heeded the one before', async () => {
    const cp = await TestControlPlane.start();
    const edge = await cp.addNode('edge');
    await cp.heartbeat(edge, 2);
    expect(await cp.call('POST', '/v1/network/rotate-tier-key')).toMatchObject({
      status: 202,
      body: { tierKeyRotation: 'announced' },
    });
    expect((await cp.call('POST', '/v1/network/rotate-tier-key')).status).toBe(409);
    cp.clock.advance(LOOK);
    expect(await phase(cp)).toBe('announced');
    await cp.acknowledge(edge, 3);
    cp.clock.advance(LOOK);
    await eventually(async () => expect(await phase(cp)).toBe('switched'));
    await cp.stop();
    await cp.start();
    await cp.acknowledge(edge, 4);
    cp.clock.advance(LOOK);
    await eventually(async () => expect(await phase(cp)).toBe('none'));
  });

  test('does not wait for a node whose lease has ended', async () => {
    const cp = await TestControlPlane.start();
    await cp.heartbeat(await cp.addNode('edge'), 2);
    await cp.call('POST', '/v1/network/rotate-tier-key');
    cp.clock.advance('10s');
    await eventually(async () => {
      cp.clock.advance(LOOK);
      expect(await phase(cp)).toBe('none');
    });
  });

  test('lets only an administrator of the network rotate', async () => {
    const cp = await TestControlPlane.start();
    const token = await cp.addToken('ops', ['configure', 'read']);
    const answer = await cp.call('POST', '/v1/network/rotate-tier-key', undefined, token);
    expect(answer.status).toBe(403);
  });
});

describe('drain', () => {
  test('is a state of the node that survives, shown and undone', async () => {
    const cp = await TestControlPlane.start();
    await cp.addNode('edge');
    expect((await cp.call('POST', '/v1/nodes/edge/drain')).body).toMatchObject({
      sequence: 3,
      node: { name: 'edge', draining: true },
    });
    expect((await cp.call('POST', '/v1/nodes/edge/drain')).body).toMatchObject({ sequence: 3 });
    expect(await cp.list('/v1/nodes')).toMatchObject([{ draining: true }]);
    expect((await cp.call('POST', '/v1/nodes/edge/resume')).body).toMatchObject({
      sequence: 4,
      node: { draining: false },
    });
    expect((await cp.call('POST', '/v1/nodes/nobody/drain')).status).toBe(404);
  });
});

test('a node that leaves holds up no purge', async () => {
  const cp = await TestControlPlane.start();
  await cp.addSite('one', '*');
  const edge = await cp.addNode('edge');
  await cp.heartbeat(edge, 3);
  const purge = await cp.purge({ site: 'one' });
  expect(purge.status).toBe('pending');
  expect((await cp.call('POST', '/v1/node/leave', {}, edge)).status).toBe(204);
  expect(await cp.findPurge(purge)).toMatchObject({
    status: 'complete',
    nodes: [{ node: 'edge', status: 'lease-ended' }],
  });
});
