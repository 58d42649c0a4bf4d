import { describe, expect, test } from 'vitest';
import type { NodeProgress } from '#control-plane/config/progress.ts';
import { siteSchema } from '#core/contract/site.ts';
import { TestLink, whileTimePasses } from '#test/node/kit.ts';
import { type Answer, eventually, temporaryDir, TestControlPlane } from './kit.ts';

const push = { kind: 'push' };
const site = (name: string, ...hosts: string[]) => ({
  name,
  hosts: hosts.length === 0 ? [`${name}.example`] : hosts,
  origin: push,
});
const pulling = (url: string) => ({
  ...site('one'),
  origin: { kind: 'pull', servers: [{ url }] },
});
const full = (name: string, ...hosts: string[]) => siteSchema.parse(site(name, ...hosts));

interface Version {
  readonly number: number;
  readonly author: string;
  readonly reason: string | null;
  readonly status: string;
  readonly sequence: number;
  readonly nodes: readonly NodeProgress[];
}

const apply = (cp: TestControlPlane, sites: object[], more: object = {}, ifMatch?: string) =>
  cp.call('POST', '/v1/config', { sites, ...more }, undefined, {
    ...(ifMatch !== undefined && { 'if-match': ifMatch }),
  });
const version = (cp: TestControlPlane, number: number): Promise<Version> =>
  cp.get<Version>(`/v1/config/versions/${number}`);
const names = async (cp: TestControlPlane, query = ''): Promise<string[]> =>
  (await cp.get<{ sites: { name: string }[] }>(`/v1/config${query}`)).sites.map((s) => s.name);
const outline = ({ status, body }: Answer) => ({
  status,
  version: body['version'],
  code: body['code'],
});

describe('versions', () => {
  test('a configuration is applied as a whole, in one event, with who and why', async () => {
    const cp = await TestControlPlane.start();
    await cp.addSite('old', 'old.example');
    const deploy = await cp.addToken('deploy', ['configure', 'read']);
    const body = { sites: [site('one'), site('two')], reason: 'spring' };
    const applied = await cp.call('POST', '/v1/config', body, deploy);
    expect(applied.status).toBe(202);
    expect(applied.headers.get('location')).toBe('/v1/config/versions/2');
    expect(applied.body).toMatchObject({
      base: 1,
      version: { number: 2, author: 'deploy', reason: 'spring', sites: ['old', 'one', 'two'] },
      diff: [
        { path: 'sites.old', before: { name: 'old' } },
        { path: 'sites.one', after: { name: 'one' } },
        { path: 'sites.two', after: { name: 'two' } },
      ],
    });
    expect(await cp.get('/v1/config')).toEqual({ version: 2, sites: [full('one'), full('two')] });
    expect(await cp.get('/v1/journal?after=2')).toMatchObject([
      {
        type: 'sites.change',
        change: { put: [{ name: 'one' }, { name: 'two' }], delete: ['old'] },
      },
    ]);
    // No node is in service.
    await whileTimePasses(cp.clock, async () =>
      expect(await version(cp, 2)).toMatchObject({ status: 'complete', nodes: [] }),
    );
  });

  test('what is as it was makes no version', async () => {
    const cp = await TestControlPlane.start();
    await apply(cp, [site('one')]);
    const again = await apply(cp, [site('one')]);
    expect(again).toMatchObject({ status: 200, body: { base: 1, version: null, diff: [] } });
    expect(await cp.sequence()).toBe(2);
  });

  test('a change of one site is a version, too, and keeps its reason', async () => {
    const cp = await TestControlPlane.start();
    await cp.call('PUT', '/v1/sites/one?reason=launch', site('one'));
    const put = await cp.call('PUT', '/v1/sites/one', site('one', 'b.example'));
    expect(put.body).toMatchObject({ version: 2, findings: [{ kind: 'no-origin' }] });
    await cp.call('DELETE', '/v1/sites/one');
    const { body } = await cp.call('GET', '/v1/config/versions?limit=2');
    expect(body).toMatchObject({ items: [{ number: 3 }, { number: 2 }], next: '2' });
    expect((await cp.call('GET', '/v1/config/versions?after=2')).body).toMatchObject({
      items: [{ number: 1, author: 'admin', reason: 'launch', sites: ['one'] }],
      next: null,
    });
    expect(await cp.get('/v1/config/versions/2')).toMatchObject({
      diff: [
        { path: 'sites.one.hosts', before: 'one.example' },
        { path: 'sites.one.hosts', after: 'b.example' },
      ],
    });
  });

  test('the sites of any version are there, and what differs between any two', async () => {
    const cp = await TestControlPlane.start();
    await apply(cp, [site('one')]);
    await apply(cp, [site('one', 'b.example'), site('two')]);
    await apply(cp, [site('three')]);
    expect(await names(cp, '?version=0')).toEqual([]);
    expect(await names(cp, '?version=1')).toEqual(['one']);
    expect(await names(cp, '?version=2')).toEqual(['one', 'two']);
    expect(await names(cp)).toEqual(['three']);
    expect((await cp.call('GET', '/v1/config?version=4')).status).toBe(404);
    expect(await cp.get('/v1/config/diff?from=1&to=2')).toMatchObject({
      diff: [
        { path: 'sites.one.hosts', before: 'one.example' },
        { path: 'sites.one.hosts', after: 'b.example' },
        { path: 'sites.two' },
      ],
    });
    expect(await cp.get('/v1/config/diff?from=2')).toMatchObject({ from: 2, to: 3 });
    expect(await cp.get('/v1/config/diff?from=3&to=3')).toEqual({ from: 3, to: 3, diff: [] });
  });

  test('a rollback brings back a version as a new one', async () => {
    const cp = await TestControlPlane.start();
    await apply(cp, [site('one')]);
    await apply(cp, [site('two')]);
    const back = await cp.call('POST', '/v1/config/rollback', { to: 1, reason: 'broken' });
    expect(back).toMatchObject({
      status: 202,
      body: { version: { number: 3, rollbackTo: 1, reason: 'broken' } },
    });
    expect(await names(cp)).toEqual(['one']);
    expect((await cp.call('POST', '/v1/config/rollback', { to: 9 })).status).toBe(404);
    await cp.call('POST', '/v1/config/rollback', { to: 0 });
    expect(await names(cp)).toEqual([]);
  });

  test('a change that was made from another version is refused, and nothing is lost', async () => {
    const cp = await TestControlPlane.start();
    const { headers } = await cp.call('GET', '/v1/config');
    expect(headers.get('etag')).toBe('"0"');
    await apply(cp, [site('one')], {}, '"0"');
    expect(outline(await apply(cp, [site('two')], {}, '"0"'))).toMatchObject({
      status: 412,
      code: 'precondition-failed',
    });
    expect(outline(await apply(cp, [site('two')], {}, 'W/"x"'))).toMatchObject({ status: 412 });
    expect(await names(cp)).toEqual(['one']);
    expect((await apply(cp, [site('two')], {}, '"1"')).status).toBe(202);
  });

  test('the history is there after a restart, and as long as the state is', async () => {
    const cp = await TestControlPlane.start();
    await apply(cp, [site('one')]);
    await apply(cp, [site('two')]);
    await cp.stop();
    await cp.start();
    expect(await names(cp, '?version=1')).toEqual(['one']);
    await apply(cp, [site('three')]);
    expect(await version(cp, 3)).toMatchObject({ number: 3 });
  });

  test('tokens of some sites neither see the history nor apply a configuration', async () => {
    const cp = await TestControlPlane.start();
    const limited = await cp.addToken('one', ['configure', 'read'], ['one']);
    for (const path of ['', '/versions', '/versions/1', '/diff?from=0']) {
      expect((await cp.call('GET', `/v1/config${path}`, undefined, limited)).status).toBe(403);
    }
    for (const path of ['', '/rollback', '/promote', '/abort']) {
      expect((await cp.call('POST', `/v1/config${path}`, {}, limited)).status).toBe(403);
    }
  });
});

describe('validation', () => {
  test('a dry run tells what would change and what speaks against it, and changes nothing', async () => {
    const cp = await TestControlPlane.start();
    await cp.addNode('edge', 'edge', 'http://127.0.0.1:8080');
    const servers = [{ url: 'http://127.0.0.1:8080' }];
    const looping = { ...site('loop', 'b.one.example'), origin: { kind: 'pull', servers } };
    const sites = [site('one', '*.one.example'), looping];
    const before = await cp.sequence();
    const { status, body } = await apply(cp, sites, { dryRun: true });
    expect({ status, ...body }).toMatchObject({ status: 200, version: null, base: 0 });
    expect(body['diff']).toHaveLength(2);
    expect(body['findings']).toMatchObject([
      { severity: 'warning', kind: 'host-taken', site: 'loop' },
      { severity: 'error', kind: 'origin-is-ours', site: 'loop' },
      { severity: 'warning', kind: 'no-origin', site: 'one' },
    ]);
    expect((await apply(cp, sites)).body).toMatchObject({
      code: 'invalid-input',
      issues: [{ path: 'sites.loop.origin' }],
    });
    expect(await cp.sequence()).toBe(before);
  });

  test('an origin is found to be a node by its name', async () => {
    const addresses = { 'www.example': ['127.0.0.1'], 'origin.example': ['192.0.2.7'] };
    const cp = await TestControlPlane.start({ addresses });
    await cp.addNode('edge', 'edge', 'http://127.0.0.1:8080');
    const refused = await cp.call('PUT', '/v1/sites/one', pulling('http://www.example:8080'));
    expect(refused).toMatchObject({ status: 422, body: { code: 'invalid-input' } });
    const put = await cp.call('PUT', '/v1/sites/one', pulling('http://origin.example:8080'));
    expect(put).toMatchObject({ status: 201, body: { findings: [] } });
    const lost = await cp.call('PUT', '/v1/sites/one', pulling('http://gone.example'));
    expect(lost.body).toMatchObject({ findings: [{ kind: 'origin-unresolved' }] });
  });

  test('a token of one site cannot take a host that another site serves', async () => {
    const cp = await TestControlPlane.start();
    await cp.addSite('shop', '*.shop.example');
    const limited = await cp.addToken('one', ['configure'], ['one']);
    const taking = site('one', 'pay.shop.example');
    expect(await cp.call('PUT', '/v1/sites/one', taking, limited)).toMatchObject({
      status: 403,
      body: { code: 'forbidden' },
    });
    expect((await cp.call('PUT', '/v1/sites/one', taking)).status).toBe(201);
  });

  test.for<[what: string, body: object, status: number]>([
    ['two sites of one name', { sites: [site('one'), site('one', 'b.example')] }, 422],
    ['a site that does not fit', { sites: [{ name: 'one' }] }, 422],
    ['a host twice', { sites: [site('one'), site('two', 'one.example')] }, 409],
    ['an unknown node', { sites: [site('one')], canary: ['nobody'] }, 404],
    ['an unknown field', { sites: [], force: true }, 422],
    ['no sites', {}, 422],
  ])('%s is refused, and nothing changes', async ([, body, status]) => {
    const cp = await TestControlPlane.start();
    expect((await cp.call('POST', '/v1/config', body)).status).toBe(status);
    expect(await cp.sequence()).toBe(1);
  });
});

/** A network of two edges, each by a real link. */
async function network() {
  const cp = await TestControlPlane.start();
  const link = async (name: string): Promise<TestLink> => {
    const credential = await cp.addNode(name);
    const dir = await temporaryDir();
    const edge = new TestLink({ urls: [cp.url], credential, dir, clock: cp.clock });
    await edge.link.start();
    return edge;
  };
  const oslo = await link('oslo');
  const rome = await link('rome');
  await apply(cp, [site('one')]);
  await eventually(() => expect([sitesOf(oslo), sitesOf(rome)]).toEqual([['one'], ['one']]));
  await rolled(cp, 1, 'complete');
  return { cp, oslo, rome };
}

const sitesOf = ({ applied }: TestLink): string[] =>
  (applied.at(-1)?.config.sites ?? []).map(({ name }) => name);

/** Resolves once a version has come so far. */
const rolled = (cp: TestControlPlane, number: number, status: string): Promise<void> =>
  whileTimePasses(cp.clock, async () =>
    expect(await version(cp, number)).toMatchObject({ status }),
  );

/** A node of an older version, which does not know what a site is set to. */
const refusing = (edge: TestLink, name: string): void => {
  edge.checkSite = (candidate) => {
    if (candidate.name === name) throw new Error(`${name} is not known here`);
  };
};

/** What a node says that cannot apply a version. */
const refuse = async (cp: TestControlPlane, credential: string, { sequence }: Version) => {
  const acknowledgement = { fence: await cp.sequence(), refusals: [{ sequence, reason: 'old' }] };
  await cp.call('POST', '/v1/node/acknowledgements', acknowledgement, credential);
};

const progress = async (cp: TestControlPlane, number: number) =>
  Object.fromEntries((await version(cp, number)).nodes.map(({ node, status }) => [node, status]));

describe('a canary', () => {
  test('is on its nodes only, also when they begin anew, until it is promoted', async () => {
    const { cp, oslo, rome } = await network();
    const { body } = await apply(cp, [site('two')], { canary: ['oslo'] });
    expect(body).toMatchObject({ version: { number: 2, status: 'canary', canary: ['oslo'] } });
    await eventually(() => expect(oslo.link.fence).toBe(rome.link.fence));
    await eventually(() => expect(sitesOf(oslo)).toEqual(['two']));
    expect(sitesOf(rome)).toEqual(['one']);
    expect(await names(cp)).toEqual(['one']);
    await eventually(async () => expect(await progress(cp, 2)).toEqual({ oslo: 'applied' }));

    // A snapshot has it as well, from a control plane that has begun anew.
    await cp.stop();
    await cp.start();
    for (const name of ['oslo', 'rome']) {
      await cp.call('DELETE', `/v1/nodes/${name}`);
      const credential = await cp.addNode(name);
      const dir = await temporaryDir();
      const edge = new TestLink({ urls: [cp.url], credential, dir, clock: cp.clock });
      await edge.link.start();
      expect(sitesOf(edge)).toEqual([name === 'oslo' ? 'two' : 'one']);
      await edge.link.stop();
    }

    expect((await cp.call('POST', '/v1/config/promote')).body).toMatchObject({
      number: 2,
      status: 'rolling-out',
    });
    expect(await names(cp)).toEqual(['two']);
    await rolled(cp, 2, 'complete');
    expect(await cp.get('/v1/config?version=1')).toMatchObject({ sites: [{ name: 'one' }] });
    expect((await cp.call('POST', '/v1/config/promote')).status).toBe(409);
  });

  test('reaches every node when it is promoted, and leaves its own when it is aborted', async () => {
    const { cp, oslo, rome } = await network();
    const both = [site('one', 'b.example'), site('two')];
    await apply(cp, both, { canary: ['oslo'] });
    await eventually(() => expect(sitesOf(oslo)).toEqual(['one', 'two']));
    const aborted = await cp.call('POST', '/v1/config/abort');
    expect(aborted.body).toMatchObject({ number: 2, status: 'aborted' });
    await eventually(() => expect(oslo.applied.at(-1)?.config.sites).toEqual([full('one')]));

    await apply(cp, both, { canary: ['rome'] });
    await eventually(() => expect(sitesOf(rome)).toEqual(['one', 'two']));
    await cp.call('POST', '/v1/config/promote');
    await eventually(() => expect(sitesOf(oslo)).toEqual(['one', 'two']));
    expect(oslo.applied.at(-1)?.config).toEqual(rome.applied.at(-1)?.config);
    await rolled(cp, 3, 'complete');
    expect(await names(cp, '?version=2')).toEqual(['one']);
    expect(await progress(cp, 3)).toEqual({ oslo: 'applied', rome: 'applied' });
  });

  test('can neither move a host between sites nor delete what has bans', async () => {
    const { cp } = await network();
    const moving = await apply(cp, [site('two', 'one.example')], { canary: ['oslo'] });
    expect(moving).toMatchObject({ status: 409, body: { code: 'conflict' } });
    const carving = [site('one', '*.one.example'), site('two', 'a.one.example')];
    await apply(cp, [site('one', '*.one.example')]);
    expect((await apply(cp, carving, { canary: ['oslo'] })).status).toBe(409);
    await rolled(cp, 2, 'complete');
    await cp.purge({ site: 'one', mode: 'ban' });
    expect((await apply(cp, [site('two')], { canary: ['oslo'] })).body['detail']).toBe(
      'A canary cannot delete site "one", which has bans',
    );
    expect((await apply(cp, carving)).status).toBe(202);
  });

  test('holds up other changes, but no purge', async () => {
    const { cp, oslo, rome } = await network();
    await apply(cp, [site('two')], { canary: ['oslo'] });
    const refused = await cp.call('PUT', '/v1/sites/three', site('three'));
    expect(refused.status).toBe(409);
    expect(refused.body['detail']).toBe('A canary is on oslo: promote or abort it first');
    // What is as it was is no change.
    expect((await cp.call('PUT', '/v1/sites/one', site('one'))).status).toBe(200);
    const purge = await cp.purge({ site: 'one' });
    await eventually(async () => expect((await cp.findPurge(purge)).status).toBe('complete'));
    expect([sitesOf(oslo), sitesOf(rome)]).toEqual([['two'], ['one']]);
  });

  test('that its node refuses is taken back, and no other node is given it', async () => {
    const { cp, oslo, rome } = await network();
    refusing(oslo, 'two');
    await apply(cp, [site('two')], { canary: ['oslo'] });
    await rolled(cp, 2, 'halted');
    const reason = 'two is not known here';
    expect((await version(cp, 2)).nodes).toEqual([
      { node: 'oslo', tier: 'edge', status: 'refused', reason },
    ]);
    expect((await cp.call('POST', '/v1/config/promote')).status).toBe(409);
    await eventually(() => expect(oslo.link.refusals).toEqual([]));
    expect([sitesOf(oslo), sitesOf(rome)]).toEqual([['one'], ['one']]);
    expect(rome.applied.flatMap(({ config }) => config.sites).map((s) => s.name)).not.toContain(
      'two',
    );
    expect((await apply(cp, [site('three')])).status).toBe(202);
  });

  test('that is kept although it was refused can only be aborted', async () => {
    const { cp, oslo } = await network();
    refusing(oslo, 'two');
    await apply(cp, [site('two')], { canary: ['oslo', 'rome'], onRefusal: 'keep' });
    await rolled(cp, 2, 'halted');
    await eventually(async () =>
      expect(await progress(cp, 2)).toEqual({ oslo: 'refused', rome: 'applied' }),
    );
    const promoted = await cp.call('POST', '/v1/config/promote');
    expect(promoted.body['detail']).toBe('Version 2 was refused by oslo: two is not known here');
    expect((await cp.call('POST', '/v1/config/abort')).body).toMatchObject({ status: 'aborted' });
  });
});

describe('a version that a node refuses', () => {
  test('is taken back everywhere; the node keeps what it had, and heeds purges', async () => {
    const { cp, oslo, rome } = await network();
    refusing(rome, 'two');
    await apply(cp, [site('one', 'b.example'), site('two')]);
    const purge = await cp.purge({ site: 'one' });
    await eventually(async () => expect((await cp.findPurge(purge)).status).toBe('complete'));
    await rolled(cp, 2, 'halted');
    expect(await version(cp, 3)).toMatchObject({
      author: 'control-plane',
      reason: 'rome refused version 2: two is not known here',
    });
    await rolled(cp, 3, 'complete');
    for (const edge of [oslo, rome]) {
      await eventually(() => expect(edge.applied.at(-1)?.config.sites).toEqual([full('one')]));
    }
    expect(rome.link.refusals).toEqual([]);
  });

  test('stays on the others if it is to be kept, and the nodes say who lacks it', async () => {
    const { cp, oslo, rome } = await network();
    refusing(rome, 'two');
    await apply(cp, [site('one'), site('two')], { onRefusal: 'keep' });
    await rolled(cp, 2, 'halted');
    expect(await progress(cp, 2)).toEqual({ oslo: 'applied', rome: 'refused' });
    expect([sitesOf(oslo), sitesOf(rome)]).toEqual([['one', 'two'], ['one']]);
    const refusals = [{ sequence: rome.link.fence, reason: 'two is not known here' }];
    await whileTimePasses(cp.clock, async () =>
      expect(await cp.get('/v1/nodes')).toMatchObject([
        { name: 'oslo', lastHeartbeat: { refusals: [] } },
        { name: 'rome', lastHeartbeat: { refusals } },
      ]),
    );
  });

  test('is left alone where another has come since', async () => {
    const cp = await TestControlPlane.start();
    const credential = await cp.addNode('oslo');
    await cp.acknowledge(credential, await cp.sequence());
    await cp.heartbeat(credential, await cp.sequence());
    await apply(cp, [site('one'), site('two')]);
    await apply(cp, [site('one'), site('two', 'b.example')]);
    expect(await version(cp, 1)).toMatchObject({ status: 'rolling-out' });
    await refuse(cp, credential, await version(cp, 1));
    expect(await version(cp, 1)).toMatchObject({ status: 'halted' });
    // Of the first only what the second has not changed is taken back.
    expect(await version(cp, 3)).toMatchObject({ author: 'control-plane', sites: ['one'] });
    expect(await names(cp)).toEqual(['two']);
    await refuse(cp, credential, await version(cp, 3));
    // What is itself a way back is not taken back.
    expect(await version(cp, 3)).toMatchObject({ status: 'halted' });
    expect(await names(cp)).toEqual(['two']);
  });

  test('long after it was complete only counts for that node', async () => {
    const { cp } = await network();
    await apply(cp, [site('one'), site('two')]);
    await rolled(cp, 2, 'complete');
    const credential = await cp.addNode('late');
    await refuse(cp, credential, await version(cp, 2));
    expect(await version(cp, 2)).toMatchObject({ status: 'complete' });
    expect(await progress(cp, 2)).toMatchObject({ late: 'refused', oslo: 'applied' });
    expect(await names(cp)).toEqual(['one', 'two']);
  });
});
