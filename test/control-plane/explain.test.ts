import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { explanationText } from '#cli/explain/text.ts';
import { explanationSchema as shownSchema } from '#cli/explain/types.ts';
import type { Explanation, TierAsked } from '#core/contract/explain.ts';
import { questionSchema } from '#core/contract/question.ts';
import type { Question, Said } from '#core/contract/question.ts';
import { mayExplain } from '#core/explain/token.ts';
import { sealKeysOf } from '#core/latency/seal.ts';
import { explained, parent } from '#test/explained.ts';
import { TestLink } from '#test/node/kit.ts';
import { RedisServer } from '#test/redis.ts';
import { FakeClock } from '#test/scenario/kit/clock.ts';
import { type Answer, eventually, temporaryDir, TestControlPlane } from './kit.ts';

const NEXT: TierAsked = {
  as: 'tier',
  site: 'one',
  method: 'GET',
  scheme: 'http',
  host: 'a.test',
  target: '/a',
  fields: [],
  keyedBy: '',
  fence: 7,
};

/** A node that answers so, in service; what it was asked. */
async function node(
  cp: TestControlPlane,
  name: string,
  tier: 'edge' | 'mid-tier',
  answer: (question: Question) => Promise<Said>,
): Promise<Question[]> {
  const heard: Question[] = [];
  const credential = await cp.addNode(name, tier);
  const link = new TestLink({
    urls: [cp.url],
    credential,
    dir: await temporaryDir(),
    clock: cp.clock,
    answer: (question) => {
      heard.push(question);
      return answer(question);
    },
  });
  await link.link.start();
  await eventually(async () => {
    const nodes = await cp.list<{ name: string; inService: boolean }>('/v1/nodes');
    expect(nodes.find((one) => one.name === name)?.inService).toBe(true);
  });
  return heard;
}

const explanationOf = ({ status, body }: Answer): Explanation => {
  expect(status).toBe(200);
  return body as unknown as Explanation;
};

const ask = async (cp: TestControlPlane, question: object): Promise<Explanation> =>
  explanationOf(await cp.call('POST', '/v1/explain', { url: 'http://a.test/a', ...question }));

const nobody = (): Promise<Said> => new Promise(() => undefined);

describe('a request is explained', () => {
  test('by the edge, then the parent that it would ask first, up to the origin', async () => {
    const cp = await TestControlPlane.start();
    await cp.addSite('one', 'a.test');
    const edge = await node(cp, 'a', 'edge', async () => ({
      explained: explained(
        { parents: { asks: true, order: [parent('m', 'mid-tier')], skipped: [] } },
        NEXT,
      ),
    }));
    const midTier = await node(cp, 'm', 'mid-tier', async () => ({
      explained: explained({
        node: 'm',
        tier: 'mid-tier',
        parents: { asks: true, order: [parent('store', 'origin')], skipped: [] },
        hints: [{ text: 'Do', setting: 'key.query' }],
      }),
    }));
    const others = await node(cp, 'b', 'edge', nobody);
    const query = new URLSearchParams({
      url: 'http://a.test/a?b#c',
      node: 'a',
      client: '192.0.2.1',
    });
    query.append('header', 'Accept-Language: de');
    query.append('header', 'X-Tenant:x');
    const said = explanationOf(await cp.call('GET', `/v1/explain?${query.toString()}`));
    expect(said).toMatchObject({
      url: 'http://a.test/a?b#c',
      site: 'one',
      headline: 'MISS at a: nothing stored under this key',
      verdict: 'miss',
      edge: { node: 'a', by: 'node' },
      tiers: [
        { status: 'explained', node: 'a', tier: 'edge' },
        { status: 'explained', node: 'm', tier: 'mid-tier' },
        { status: 'origin', name: 'store' },
      ],
      hints: [{ text: 'Do', setting: 'key.query' }],
    });
    expect(edge).toMatchObject([
      {
        explain: {
          as: 'client',
          method: 'GET',
          scheme: 'http',
          authority: 'a.test',
          target: '/a?b',
          fields: ['Accept-Language', 'de', 'X-Tenant', 'x'],
          address: '192.0.2.1',
        },
      },
    ]);
    expect(midTier).toMatchObject([{ explain: NEXT }]);
    expect(others).toEqual([]);
    const text = explanationText(shownSchema.parse(said));
    expect(text.split('\n')[0]).toBe('MISS at a: nothing stored under this key');
    expect(text).toContain('mid-tier m: miss (uri-miss)');
    expect(text).toContain('asked in this order:\n           1. store: the object’s own');
    expect(text).toContain('What may help:\n  Do (key.query)');
  });

  test('in part, where a node is silent, is not in service or is of an older version', async () => {
    const cp = await TestControlPlane.start();
    await cp.addSite('one', 'a.test');
    await node(cp, 'quiet', 'edge', nobody);
    const asked = ask(cp, { node: 'quiet' });
    await eventually(() => {
      cp.clock.advance('3s');
      return expect(Promise.race([asked, Promise.resolve('waits')])).resolves.not.toBe('waits');
    });
    expect(await asked).toMatchObject({
      headline: 'Unknown: quiet did not answer in time',
      verdict: null,
      tiers: [{ node: 'quiet', status: 'silent' }],
    });
    await cp.addNode('gone');
    expect((await ask(cp, { node: 'gone' })).tiers).toMatchObject([{ status: 'not-in-service' }]);
    const credential = await cp.addNode('old');
    expect((await cp.heartbeat(credential, await cp.sequence())).status).toBe(200);
    const older = await ask(cp, { node: 'old' });
    expect(older).toMatchObject({
      headline: 'Unknown: old is of an older version, which cannot explain',
      tiers: [{ node: 'old', status: 'older-version', version: '1' }],
    });
    expect(explanationText(shownSchema.parse(older))).toContain(
      'edge old is of an older version (1), which cannot explain',
    );
  });

  test('at the edge that the client, or the location, leads to', async () => {
    const cp = await TestControlPlane.start();
    await cp.addSite('one', 'a.test');
    await node(cp, 'a', 'edge', async () => ({ explained: explained() }));
    expect((await ask(cp, {})).edge).toMatchObject({ node: 'a', by: 'default' });
    expect((await ask(cp, { client: '192.0.2.1' })).edge).toEqual({
      node: 'a',
      by: 'client',
      why: 'where 192.0.2.1 is sent',
    });
    expect((await ask(cp, { location: 'oslo' })).edge).toMatchObject({ by: 'location' });
    const refusalOf = async (question: object): Promise<unknown> =>
      (await cp.call('POST', '/v1/explain', { url: 'http://a.test/a', ...question })).status;
    expect(await refusalOf({ node: 'nobody' })).toBe(404);
    expect(await refusalOf({ location: 'nowhere' })).toBe(404);
    expect(await refusalOf({ client: 'nowhere' })).toBe(422);
    expect(await refusalOf({ url: 'ftp://a.test/' })).toBe(422);
    expect(await refusalOf({ headers: ['none'] })).toBe(422);
    expect(await refusalOf({ headers: ['a: b\r\nc: d'] })).toBe(422);
  });

  test('with what its parent has, where the edge has to ask', async () => {
    const cp = await TestControlPlane.start();
    await cp.addSite('one', 'a.test');
    const order = [parent('m', 'mid-tier')];
    await node(cp, 'a', 'edge', async () => ({
      explained: explained({ parents: { asks: true, order, skipped: [] } }, NEXT),
    }));
    await node(cp, 'm', 'mid-tier', async () => ({
      explained: explained({ node: 'm', tier: 'mid-tier', verdict: 'hit', reason: 'fresh' }),
    }));
    expect((await ask(cp, {})).headline).toBe(
      'MISS at a: nothing stored under this key; HIT at m above it',
    );
  });

  test('with the purges and bans that name the object, by key and by the tags of what is stored', async () => {
    const cp = await TestControlPlane.start();
    await cp.addSite('one', 'a.test');
    await node(cp, 'a', 'edge', async () => ({ explained: explained() }));
    const { id } = await cp.purge({ urls: ['http://a.test/a'], mode: 'hard' });
    await cp.purge({ urls: ['http://a.test/b'], mode: 'hard' });
    const ban = await cp.purge({ prefixes: ['a.test/a'], mode: 'ban' });
    cp.clock.advance('5s');
    const said = await ask(cp, {});
    expect(said.purges.map((one) => one.id)).toEqual([ban.id, id]);
    expect(said.bans).toMatchObject([{ id: ban.id, mode: 'ban', target: { kind: 'prefixes' } }]);
    expect(said.headline).toBe(
      `MISS at a: nothing stored under this key; purged 5 s ago (ban, ${ban.id})`,
    );
    expect(explanationText(shownSchema.parse(said))).toContain(`hard urls  ${id}`);
  });

  test('without asking a node, where no site has the host', async () => {
    const cp = await TestControlPlane.start();
    await cp.addSite('one', 'a.test');
    expect(await ask(cp, { url: 'http://elsewhere.test/' })).toMatchObject({
      site: null,
      verdict: 'refused',
      headline: 'No site has the host elsewhere.test: edges answer 421 (unknown-host)',
      edge: null,
      tiers: [],
      hints: [{ text: 'Hosts that there are: a.test' }],
    });
  });

  test('to tokens that may read, and reach the site', async () => {
    const cp = await TestControlPlane.start();
    await cp.addSite('one', 'a.test');
    const reads = await cp.addToken('reads', ['read'], ['two']);
    const purges = await cp.addToken('purges', ['purge']);
    const asked = async (path: string, url: string, token: string): Promise<number> =>
      (await cp.call('POST', path, { url }, token)).status;
    for (const path of ['/v1/explain', '/v1/explain/tokens']) {
      expect(await asked(path, 'http://a.test/', reads)).toBe(403);
      expect(await asked(path, 'http://a.test/', purges)).toBe(403);
    }
    // Not even that there is no such site.
    expect(await asked('/v1/explain', 'http://elsewhere.test/', reads)).toBe(403);
    expect(await asked('/v1/explain/tokens', 'http://elsewhere.test/', 'admin-token')).toBe(404);
  });
});

describe('two control planes', () => {
  let redis: RedisServer;
  beforeAll(async () => void (redis = await RedisServer.start()));
  afterAll(() => redis.end());

  test('ask the nodes of one another, and only the one that is meant', async () => {
    const options = { redisUrl: redis.url, clock: new FakeClock() };
    const a = await TestControlPlane.start(options);
    const b = await TestControlPlane.start(options);
    await a.addSite('one', 'a.test');
    const here = await node(a, 'edge-a', 'edge', nobody);
    const there = await node(b, 'edge-b', 'edge', async () => ({ explained: explained() }));
    expect(await ask(a, { node: 'edge-b' })).toMatchObject({ tiers: [{ status: 'explained' }] });
    expect([here.length, there.length]).toEqual([0, 1]);
  });
});

test('a token is good at every node of the network, for its site and its time', async () => {
  const cp = await TestControlPlane.start();
  await cp.addSite('one', 'a.test');
  const answer = await cp.call('POST', '/v1/explain/tokens', {
    url: 'http://a.test/',
    forSeconds: 60,
  });
  const { value, field, expiresAt } = answer.body as {
    value: string;
    field: string;
    expiresAt: number;
  };
  expect(field).toBe('Canopy-Explain');
  const told = Promise.withResolvers<Parameters<typeof sealKeysOf>[0]>();
  const link = new TestLink({
    urls: [cp.url],
    credential: await cp.addNode('a'),
    dir: await temporaryDir(),
    clock: cp.clock,
  });
  await link.link.start();
  const [first] = link.applied;
  if (first !== undefined) told.resolve(first.config.network);
  const keys = sealKeysOf(await told.promise);
  expect(mayExplain(keys, value, 'one', expiresAt - 1)).toBe(true);
  expect(mayExplain(keys, value, 'one', expiresAt)).toBe(false);
  expect(mayExplain(keys, value, 'two', expiresAt - 1)).toBe(false);
});

test('what a purge would hit is asked as nodes of older versions know it', () => {
  const targets = [{ kind: 'site' as const, site: 'one' }];
  const question = questionSchema.parse({ id: 'x', targets });
  expect(question).toEqual({ id: 'x', targets });
});
