import { createHash } from 'node:crypto';
import { describe, expect, onTestFinished, test } from 'vitest';
import { readBackup, writeBackup } from '#control-plane/state/backup.ts';
import { restoreState } from '#control-plane/restore.ts';
import { openSqliteState } from '#control-plane/state/sqlite.ts';
import { TestLink } from '#test/node/kit.ts';
import { FakeClock } from '#test/scenario/kit/clock.ts';
import { eventually, temporaryDir, TestControlPlane } from './kit.ts';

const backupOf = async (cp: TestControlPlane): Promise<string> =>
  (await fetch(`${cp.url}/v1/backup`, { headers: { authorization: 'Bearer admin-token' } })).text();

async function network() {
  const cp = await TestControlPlane.start();
  await cp.addSite('one', '*');
  const credential = await cp.addNode('edge');
  const token = await cp.addToken('deploy', ['read']);
  await cp.purge({ tags: ['x'], mode: 'ban' });
  return { cp, credential, token };
}

const signed = (body: string): string =>
  `${body}${JSON.stringify({ sha256: createHash('sha256').update(body).digest('hex') })}\n`;

describe('a backup', () => {
  test('has all of the state, and reads back as it was', async () => {
    const { cp } = await network();
    const text = await backupOf(cp);
    await cp.stop();
    const store = openSqliteState(cp.dir);
    onTestFinished(() => store.close());
    const { records = [], ...content } = (await store.content()) ?? {};
    // That it was taken was written down after it.
    const before = records.filter(
      ({ value }) => (value as { readonly path?: string }).path !== '/v1/backup',
    );
    expect(readBackup(text)).toEqual({ ...content, records: before });
    expect(readBackup(text).config.bans).toMatchObject([{ target: { tags: ['x'] } }]);
    const again = writeBackup(readBackup(text), cp.clock.now());
    expect(readBackup(again)).toEqual(readBackup(text));
  });

  test('is given to nobody but an administrator of the network', async () => {
    const { cp, token } = await network();
    expect((await cp.call('GET', '/v1/backup', undefined, token)).status).toBe(403);
    expect((await cp.call('GET', '/v1/backup', undefined, null)).status).toBe(401);
  });

  test.for<[what: string, damage: (text: string) => string, says: RegExp]>([
    ['empty', () => '', /line 1/],
    ['cut', (text) => text.slice(0, -200), /line|checksum/],
    ['short of a line', (text) => text.replace(/^\{"site".*\n/m, ''), /checksum/],
    ['changed', (text) => text.replace('"oslo"', '"rome"'), /checksum/],
    [
      'of a later version',
      (text) => text.replace('"canopyBackup":4', '"canopyBackup":5'),
      /version 5/,
    ],
    ['of something else', () => signed('{"canopyBackup":1}\n'), /line 1/],
    ['no text of lines', () => 'not a backup', /line/],
  ])('that is %s is refused, and changes nothing', async ([, damage, says]) => {
    const { cp } = await network();
    const text = damage(await backupOf(cp));
    const dir = await temporaryDir();
    const options = { dir, force: true, clock: new FakeClock() };
    await expect(restoreState(text, options)).rejects.toMatchObject({
      code: 'invalid-input',
      message: expect.stringMatching(says),
    });
    const store = openSqliteState(dir);
    onTestFinished(() => store.close());
    expect(await store.head()).toBeUndefined();
  });
});

describe('restoring', () => {
  test('is refused while the state is in use or not empty, unless it is forced', async () => {
    const { cp } = await network();
    const text = await backupOf(cp);
    const { dir, clock } = cp;
    await expect(restoreState(text, { dir, clock, force: true })).rejects.toMatchObject({
      code: 'conflict',
    });
    await cp.stop();
    await expect(restoreState(text, { dir, clock, force: false })).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('--force'),
    });
    expect(await restoreState(text, { dir, clock, force: true })).toEqual({
      sites: 1,
      nodes: 1,
      tokens: 2,
    });
  });

  test('resets a node that knows what came after the backup', async () => {
    const { cp, credential } = await network();
    const text = await backupOf(cp);
    const { dir, clock } = cp;
    const node = new TestLink({
      urls: [cp.url],
      credential,
      dir: await temporaryDir(),
      clock,
    });
    await node.link.start();
    await cp.addSite('later', 'later.example');
    await eventually(() => expect(node.link.fence).toBe(5));
    await cp.stop();
    await restoreState(text, { dir, clock, force: true });
    await cp.start();
    // As many events as the node knows already.
    await cp.addSite('two', 'two.example');
    await eventually(() => {
      clock.advance('50ms');
      expect(node.applied.at(-1)?.config.sites).toMatchObject([{ name: 'one' }, { name: 'two' }]);
    });
    expect(node.applied.some(({ reset, sequence }) => reset && sequence > 5)).toBe(true);
    const purge = await cp.purge({ site: 'one' });
    await eventually(async () => {
      clock.advance('50ms');
      expect(await cp.findPurge(purge)).toMatchObject({
        status: 'complete',
        nodes: [{ node: 'edge', status: 'acknowledged' }],
      });
    });
  });
});
