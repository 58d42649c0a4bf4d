import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { previewOf } from '#control-plane/purge/preview.ts';
import { nodeSchema } from '#core/contract/node.ts';
import type { PurgeMode } from '#core/contract/purge.ts';
import type { Estimate, Question, Said } from '#core/contract/question.ts';
import { siteSchema } from '#core/contract/site.ts';
import { TestLink } from '#test/node/kit.ts';
import { RedisServer } from '#test/redis.ts';
import { FakeClock } from '#test/scenario/kit/clock.ts';
import { eventually, temporaryDir, TestControlPlane } from './kit.ts';

const estimateOf = (...asked: number[]): Estimate => ({
  objects: 50,
  bytes: 1000,
  sampled: false,
  watchedMs: 2000,
  asked,
});

const nodeOf = (name: string, tier: 'edge' | 'mid-tier', group?: string) =>
  nodeSchema.parse({
    name,
    tier,
    url: 'http://a',
    location: { name: 'here', latitude: 0, longitude: 0 },
    ...(group !== undefined && { group }),
  });

describe('what the nodes say', () => {
  const sites = [
    siteSchema.parse({
      name: 'one',
      hosts: ['*'],
      origin: { kind: 'push' },
      cache: { refillsPerSecond: 1 },
    }),
  ];
  const edges = [nodeOf('a', 'edge'), nodeOf('b', 'edge')];
  const rows: [
    what: string,
    nodes: typeof edges,
    mode: PurgeMode,
    answers: number[][],
    n: number,
  ][] = [
    ['edges alone ask each for itself', edges, 'hard', [[1, 2], [2]], 1.5],
    [
      'edges at a mid-tier ask once',
      [...edges, nodeOf('m', 'mid-tier')],
      'hard',
      [[1, 2], [2], []],
      1,
    ],
    [
      'groups of mid-tiers ask each for itself',
      [nodeOf('a', 'edge', 'x'), nodeOf('b', 'edge', 'y'), nodeOf('m', 'mid-tier', 'x')],
      'hard',
      [[1, 2], [2], [3]],
      2,
    ],
    ['what is stale is bridged', edges, 'soft', [[1, 2, 3, 4], [5]], 1.5],
    ['a refresh fetches what nobody asks for', edges, 'refresh', [[], [1]], 2],
    ['a ban is hard', edges, 'ban', [[1, 2, 3, 4], [5]], 2.5],
  ];
  test.for(rows)('%s', ([, nodes, mode, answers, originRequestsPerSecond]) => {
    const byName = new Map(nodes.map(({ name }, i) => [name, estimateOf(...(answers[i] ?? []))]));
    const targets = [{ kind: 'site' as const, site: 'one' }];
    expect(previewOf({ mode, targets }, { sites }, nodes, byName)).toMatchObject({
      originRequestsPerSecond,
      objects: 50 * nodes.length,
      bytes: 1000 * nodes.length,
    });
  });

  test('is summed without those that said nothing, who are named', () => {
    const targets = [{ kind: 'everything' as const }];
    const answers = new Map([['b', { ...estimateOf(1), sampled: true }]]);
    expect(previewOf({ mode: 'hard', targets }, { sites }, edges, answers)).toEqual({
      mode: 'hard',
      targets,
      objects: 50,
      bytes: 1000,
      originRequestsPerSecond: 0.5,
      sampled: true,
      nodes: [
        { node: 'a', tier: 'edge', status: 'silent' },
        {
          node: 'b',
          tier: 'edge',
          status: 'answered',
          objects: 50,
          bytes: 1000,
          originRequestsPerSecond: 0.5,
          sampled: true,
        },
      ],
    });
  });
});

async function link(
  cp: TestControlPlane,
  name: string,
  estimate: (question: Question) => Promise<Estimate>,
): Promise<string> {
  const credential = await cp.addNode(name);
  const dir = await temporaryDir();
  const answer = async (question: Question): Promise<Said> => ({
    estimate: await estimate(question),
  });
  const node = new TestLink({ urls: [cp.url], credential, dir, clock: cp.clock, answer });
  await node.link.start();
  return credential;
}
const inService = (cp: TestControlPlane, names: readonly string[]) =>
  eventually(async () => {
    const nodes = await cp.list<{ name: string; inService: boolean }>('/v1/nodes');
    expect(nodes.filter(({ inService: serves }) => serves).map(({ name }) => name)).toEqual(names);
  });

describe('a dry run', () => {
  test('asks the nodes in service, names who does not answer, and purges nothing', async () => {
    const cp = await TestControlPlane.start();
    await cp.addSite('one', '*');
    const heard = Promise.withResolvers<Question>();
    const credential = await link(cp, 'a', (question) => {
      heard.resolve(question);
      return new Promise(() => undefined);
    });
    await link(cp, 'b', () => Promise.reject(new Error('It cannot tell')));
    await cp.addNode('c');
    await inService(cp, ['a', 'b']);
    const before = await cp.sequence();
    const order = { tags: ['news'], mode: 'soft', dryRun: true };
    const asked = cp.call('POST', '/v1/purges', order);
    const { id } = await heard.promise;
    const answer = { id, estimate: estimateOf(1, 2) };
    expect((await cp.call('POST', '/v1/node/answers', answer, credential)).status).toBe(204);
    cp.clock.advance('6s');
    expect(await asked).toMatchObject({
      status: 200,
      body: {
        mode: 'soft',
        targets: [{ kind: 'tags', site: 'one', tags: ['news'] }],
        objects: 50,
        originRequestsPerSecond: 1,
        nodes: [
          { node: 'a', status: 'answered', objects: 50 },
          { node: 'b', status: 'silent' },
        ],
      },
    });
    expect(await cp.sequence()).toBe(before);
    expect(await cp.list('/v1/purges')).toEqual([]);
  });

  test('of what may not be purged, or of nothing, is refused', async () => {
    const cp = await TestControlPlane.start();
    await cp.addSite('one', '*');
    const token = await cp.addToken('deploy', ['purge'], ['two']);
    const asked = (order: object) =>
      cp.call('POST', '/v1/purges', { ...order, dryRun: true }, token);
    expect((await asked({ site: 'one' })).status).toBe(403);
    expect((await asked({ site: 'three' })).status).toBe(404);
    expect((await asked({})).status).toBe(422);
    expect(await cp.call('POST', '/v1/purges', { site: 'one', dryRun: true })).toMatchObject({
      status: 200,
      body: { objects: 0, bytes: 0, originRequestsPerSecond: 0, nodes: [] },
    });
  });
});

describe('two control planes', () => {
  let redis: RedisServer;
  beforeAll(async () => void (redis = await RedisServer.start()));
  afterAll(() => redis.end());

  test('ask the nodes of one another', async () => {
    const options = { redisUrl: redis.url, clock: new FakeClock() };
    const a = await TestControlPlane.start(options);
    const b = await TestControlPlane.start(options);
    await a.addSite('one', '*');
    await link(a, 'edge-a', async () => estimateOf(1));
    await link(b, 'edge-b', async () => estimateOf(2));
    await inService(a, ['edge-a', 'edge-b']);
    for (const cp of [a, b]) {
      const { body } = await cp.call('POST', '/v1/purges', { site: 'one', dryRun: true });
      expect(body).toMatchObject({
        objects: 100,
        nodes: [{ status: 'answered' }, { status: 'answered' }],
      });
    }
  });
});
