import { describe, expect, onTestFinished, test } from 'vitest';
import { RedisServer } from '#test/redis.ts';
import { eventually, TestControlPlane } from './kit.ts';

const EDGES = [
  ['oslo', 59.91, 10.75],
  ['tokyo', 35.68, 139.69],
] as const;

async function network(options?: Parameters<typeof TestControlPlane.start>[0]) {
  const plane = await TestControlPlane.start(options);
  await plane.addSite('film', 'www.film.example');
  for (const [name, latitude, longitude] of EDGES) {
    const { body } = await plane.call('PUT', `/v1/nodes/${name}`, {
      tier: 'edge',
      location: { name, latitude, longitude },
      url: 'http://198.18.0.1',
    });
    await plane.heartbeat(String(body['credential']), 0);
  }
  return { plane, router: await plane.addNode('router-1', 'router') };
}

const observations = (roundTripMs: number, edge = 'tokyo', of = '81.2.69.0/24') =>
  Array.from({ length: 10 }, () => ({ network: of, country: 'GB', edge, roundTripMs }));

const report = (plane: TestControlPlane, router: string, ...lists: object[][]) =>
  plane.call('POST', '/v1/node/latencies', { observations: lists.flat() }, router);

interface Event {
  readonly type: string;
}

const published = async (plane: TestControlPlane): Promise<number> =>
  (await plane.list<Event>('/v1/journal?limit=100')).filter(({ type }) => type === 'latencies')
    .length;

const entries = async (plane: TestControlPlane, router: string) =>
  (await plane.call('GET', '/v1/node/latencies', undefined, router)).body['entries'] as {
    level: string;
    of: string;
    edges: { edge: string; roundTripMs: number; samples: number }[];
  }[];

describe('measured latencies', () => {
  test('are told to routers through the journal once there are enough', async () => {
    const { plane, router } = await network();
    expect(await entries(plane, router)).toEqual([]);
    expect((await report(plane, router, observations(20).slice(0, 3))).status).toBe(204);
    expect(await published(plane)).toBe(0);
    await report(plane, router, observations(20));
    expect(await published(plane)).toBe(1);
    expect(await entries(plane, router)).toMatchObject([
      { level: 'network', of: '81.2.69.0/24', edges: [{ edge: 'tokyo', samples: 13 }] },
    ]);
  });

  test('make one event a minute at most, and none where nothing is new', async () => {
    const { plane, router } = await network();
    await report(plane, router, observations(20));
    await report(plane, router, observations(20));
    for (const of of ['81.2.70.0/24', '81.2.71.0/24']) {
      await report(plane, router, observations(50, 'oslo', of));
    }
    expect(await published(plane)).toBe(1);
    plane.clock.advance('60s');
    await eventually(async () => expect(await published(plane)).toBe(2));
    expect((await entries(plane, router)).length).toBe(3);
  });

  test('are forgotten when nobody measures any more', async () => {
    const { plane, router } = await network();
    await report(plane, router, observations(20));
    plane.clock.advance('12h');
    await eventually(async () => expect((await entries(plane, router)).length).toBe(1));
    plane.clock.advance('48h');
    await eventually(async () => expect(await entries(plane, router)).toEqual([]));
    expect(await published(plane)).toBe(2);
  });

  test('are in the explanation, with how many there are', async () => {
    const { plane, router } = await network();
    const explain = async () =>
      (await plane.call('GET', '/v1/explain/route?site=film&client=81.2.69.160')).body;
    expect((await explain())['ranked']).toMatchObject([
      { node: 'oslo', by: 'distance', measured: null },
      { node: 'tokyo' },
    ]);
    await report(plane, router, observations(20), observations(45, 'oslo'));
    const explained = await explain();
    const measured = { level: 'network', of: '81.2.69.0/24', samples: 10 };
    expect(explained['ranked']).toMatchObject([
      { node: 'tokyo', by: 'latency', measured },
      { node: 'oslo', by: 'latency', measured },
    ]);
    expect(explained['scope']).toBe('81.2.69.0/24');
  });

  test('come from routers, and go to routers, only', async () => {
    const { plane } = await network();
    const edge = await plane.addNode('edge-1', 'edge');
    const refused = [
      await report(plane, edge, observations(20)),
      await plane.call('GET', '/v1/node/latencies', undefined, edge),
    ];
    expect(refused.map(({ body }) => body['code'])).toEqual(['forbidden', 'forbidden']);
  });

  test('are refused where they make no sense, as a whole', async () => {
    const { plane, router } = await network();
    const wrong = { network: 'nowhere', edge: 'tokyo', roundTripMs: -1 };
    const { status, body } = await report(plane, router, observations(20), [wrong]);
    expect(status).toBe(422);
    expect(String(body['detail'])).toContain('observations.10.network');
    expect(await published(plane)).toBe(0);
  });

  test('outlive a restart', async () => {
    const { plane, router } = await network();
    await report(plane, router, observations(20));
    const before = await entries(plane, router);
    await plane.stop();
    await plane.start();
    expect(await entries(plane, router)).toEqual(before);
    await report(plane, router, observations(20));
    expect(await published(plane)).toBe(1);
  });

  test('of all control planes on one Redis are one', async () => {
    const redis = await RedisServer.start();
    onTestFinished(() => redis.end());
    const { plane, router } = await network({ redisUrl: redis.url });
    const other = await TestControlPlane.start({ redisUrl: redis.url });
    const halves = [observations(20).slice(0, 5), observations(20).slice(5)] as const;
    await Promise.all([report(plane, router, halves[0]), report(other, router, halves[1])]);
    for (const one of [plane, other]) {
      await eventually(async () => expect((await entries(one, router)).length).toBe(1));
    }
    expect((await entries(other, router))[0]?.edges[0]?.samples).toBe(10);
  });
});
