import { describe, expect, onTestFinished, test } from 'vitest';
import { quantile } from '#control-plane/traffic/quantile.ts';
import { Traffic } from '#control-plane/traffic/traffic.ts';
import { LATENCY_BUCKETS } from '#core/contract/traffic.ts';
import { Counters } from '#core/telemetry/counters.ts';
import { Samples } from '#core/telemetry/samples.ts';
import { trafficOf } from '#core/telemetry/traffic.ts';
import { UpstreamCounters } from '#core/telemetry/upstream-counters.ts';
import { RedisServer } from '#test/redis.ts';
import { FakeClock } from '#test/scenario/kit/clock.ts';
import { eventually, TestControlPlane } from './kit.ts';

const inBucket = (bucket: number, count: number): number[] =>
  Array.from({ length: LATENCY_BUCKETS }, (_, i) => (i === bucket ? count : 0));

const site = (requests: number, hits = 0, firstByte = inBucket(2, requests)) => ({
  requests,
  hits,
  bytesSent: requests * 100,
  hitBytes: hits * 100,
  errors: 0,
  firstByte,
});

const report = (sites: object, more: object = {}) => ({
  run: 'first',
  isFirst: true,
  upstreamRequests: 0,
  originRequests: 0,
  sites,
  ...more,
});

interface Group {
  readonly name: string;
  readonly series: Record<string, (number | null)[]>;
  readonly total: Record<string, number | null>;
}

async function network(options?: Parameters<typeof TestControlPlane.start>[0]) {
  const plane = await TestControlPlane.start(options);
  const credentials = {
    oslo: await plane.addNode('edge-oslo', 'edge'),
    rome: await plane.addNode('edge-rome', 'edge'),
    shield: await plane.addNode('mid-tier-1', 'mid-tier'),
  };
  const say = (who: keyof typeof credentials, said: object) =>
    plane.call('POST', '/v1/node/traffic', said, credentials[who]);
  const ask = async (query = '') => {
    const { body } = await plane.call('GET', `/v1/traffic?${query}`);
    return body['groups'] as Group[];
  };
  return { plane, say, ask };
}

const totals = (groups: readonly Group[], field = 'requests') =>
  Object.fromEntries(groups.map(({ name, total }) => [name, total[field]]));

describe('what the network serves', () => {
  test('is summed by site, node and tier, the busiest first', async () => {
    const { plane, say, ask } = await network();
    await say('oslo', report({ film: site(30, 20), shop: site(5) }));
    await say('rome', report({ film: site(10, 5) }, { upstreamRequests: 5, originRequests: 1 }));
    await say('shield', report({ film: site(7, 6) }, { upstreamRequests: 3, originRequests: 3 }));
    plane.clock.advance('10s');
    expect(totals(await ask())).toEqual({ all: 52 });
    expect(totals(await ask('by=tier'))).toEqual({ edge: 45, 'mid-tier': 7 });
    expect(totals(await ask('by=site&tier=edge'))).toEqual({ film: 40, shop: 5 });
    expect(totals(await ask('by=node&site=film'))).toEqual({
      'edge-oslo': 30,
      'edge-rome': 10,
      'mid-tier-1': 7,
    });
    expect(totals(await ask('by=tier'), 'originRequests')).toEqual({ edge: 1, 'mid-tier': 3 });
    expect(totals(await ask('site=film'), 'originRequests')).toEqual({ all: null });
    expect((await ask('by=node')).map(({ name }) => name)).toEqual([
      'edge-oslo',
      'edge-rome',
      'mid-tier-1',
    ]);
  });

  test('is counted in the step in which it is heard of, and a lost report loses nothing', async () => {
    const { plane, say, ask } = await network();
    await say('oslo', report({ film: site(10) }));
    plane.clock.advance('20s');
    await say('oslo', report({ film: site(25) }, { isFirst: false }));
    plane.clock.advance('10s');
    const [all] = await ask('points=4');
    expect(all?.series['requests']).toEqual([null, 10, null, 15]);
    const [wide] = await ask('points=1&stepSeconds=30');
    expect(wide?.series['requests']?.length).toBe(1);
  });

  test('begins anew with a node, and what a node had served before it was first heard of is of no step', async () => {
    const { plane, say, ask } = await network();
    await say('oslo', report({ film: site(1_000) }, { isFirst: false }));
    await say('oslo', report({ film: site(1_007) }, { isFirst: false }));
    await say('oslo', report({ film: site(3) }, { run: 'second' }));
    plane.clock.advance('10s');
    expect(totals(await ask())).toEqual({ all: 10 });
  });

  test('is forgotten after an hour', async () => {
    const { plane, say, ask } = await network();
    await say('oslo', report({ film: site(10) }));
    plane.clock.advance('60m');
    expect(totals(await ask('points=360'))).toEqual({ all: 10 });
    plane.clock.advance('10s');
    expect(totals(await ask('points=360'))).toEqual({ all: null });
  });

  test('has percentiles of what was merged', async () => {
    const { plane, say, ask } = await network();
    await say('oslo', report({ film: site(98, 0, inBucket(2, 98)) }));
    await say('rome', report({ film: site(2, 0, inBucket(11, 2)) }));
    plane.clock.advance('10s');
    const [all] = await ask('site=film');
    expect(all?.total['p50Ms']).toBeCloseTo(0.25 + (50 / 98) * 0.25);
    expect(all?.total['p99Ms']).toBeCloseTo(375);
  });

  test('is told to tokens of one site for that alone', async () => {
    const { plane, say } = await network();
    await plane.addSite('film', 'www.film.example');
    await say('oslo', report({ film: site(10), shop: site(3) }));
    plane.clock.advance('10s');
    const { body } = await plane.call('POST', '/v1/tokens', {
      name: 'film-only',
      scopes: ['read'],
      sites: ['film'],
    });
    const ask = (query: string) =>
      plane.call('GET', `/v1/traffic?${query}`, undefined, String(body['token']));
    expect((await ask('site=film')).status).toBe(200);
    expect((await ask('site=shop')).status).toBe(403);
    expect((await ask('by=site')).status).toBe(403);
  });

  test.each([
    ['points=361', 422],
    ['points=100&stepSeconds=60', 400],
    ['stepSeconds=15', 422],
    ['by=colour', 422],
  ])('%s is refused', async (query, status) => {
    const { plane } = await network();
    expect((await plane.call('GET', `/v1/traffic?${query}`)).status).toBe(status);
  });

  test('is known to every control plane on a state', async () => {
    const redis = await RedisServer.start();
    onTestFinished(() => redis.end());
    const { plane, say, ask } = await network({ redisUrl: redis.url });
    const other = await TestControlPlane.start({ redisUrl: redis.url, clock: plane.clock });
    await say('oslo', report({ film: site(12) }));
    await eventually(async () => {
      plane.clock.advance('10s');
      const { body } = await other.call('GET', '/v1/traffic');
      expect(totals(body['groups'] as Group[])).toEqual({ all: 12 });
    });
    expect(totals(await ask())).toEqual({ all: 12 });
  });
});

test('beyond so many pairs of node and site the rest of each node is one row, and nothing is lost', () => {
  const clock = new FakeClock();
  const nodes = Array.from({ length: 25 }, (_, i) => ({
    name: `edge-${i}`,
    tier: 'edge' as const,
    location: { name: 'oslo', latitude: 0, longitude: 0 },
    url: 'http://127.0.0.1:1',
    capacity: 1,
    draining: false,
  }));
  const traffic = new Traffic(clock, () => nodes);
  const sites = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`site-${i}`, site(1)]));
  for (const { name } of nodes) traffic.reported(name, { ...report({}), sites });
  clock.advance('10s');
  const { groups } = traffic.query({ by: 'site', stepMs: 10_000, points: 60 });
  expect(groups.reduce((sum, { total }) => sum + (total.requests ?? 0), 0)).toBe(2_500);
  expect(groups[0]?.name).toBe('_other');
  expect(groups[0]?.total.requests).toBeGreaterThanOrEqual(500);
});

test('a node reports what its metrics count', () => {
  const counters = new Counters();
  counters.sites.name(['film']);
  const hit = { action: 'serve', reason: 'fresh', collapsed: false } as const;
  const miss = { action: 'fill', reason: 'not-stored', collapsed: false } as const;
  counters.record('film', hit as never, 200, 100, 0.3, 0.4, '1.1');
  counters.record('film', miss as never, 502, 50, 400, 400, '1.1');
  counters.record(undefined, miss as never, 404, 1, 0.05, 1, '1.1');
  const upstream = new UpstreamCounters();
  upstream.name(['mid-tier-1', 'http://origin']);
  upstream.tried('mid-tier-1', 200);
  upstream.tried('http://origin', 'timeout');
  const samples = new Samples();
  counters.sample(samples);
  upstream.sample(samples);
  const { sites, ...sent } = trafficOf(samples, (parent) => parent === 'mid-tier-1');
  expect(sent).toEqual({ upstreamRequests: 2, originRequests: 1 });
  expect(sites['film']).toMatchObject({
    requests: 2,
    hits: 1,
    bytesSent: 150,
    hitBytes: 100,
    errors: 1,
  });
  expect(sites['film']?.firstByte).toEqual(
    inBucket(2, 1).map((count, i) => count + (i === 11 ? 1 : 0)),
  );
  expect(sites['_none']?.firstByte[0]).toBe(1);
});

test.each([
  ['nothing', [], 0.5, null],
  ['all in the first bucket', inBucket(0, 4), 0.5, 0.05],
  ['all beyond the last bound', inBucket(17, 4), 0.99, 30_000],
])('a quantile of %s', (_title, counts, part, expected) => {
  expect(quantile(counts, part)).toBe(expected);
});
