import { describe, expect, onTestFinished, test } from 'vitest';
import type { CurrentRelease } from '#core/contract/event.ts';
import { Releases } from '#origin/releases.ts';
import { FakeClock } from '#test/scenario/kit/clock.ts';
import { sha256 } from '#test/contract/origin-store-kit.ts';
import { chunks, quiet, startTestOrigin, type TestOrigin } from './support.ts';

const ID = '019a6b1e-5c20-7d0f-9a51-3a8d5c1b2f60';
const OTHER_ID = '019a6b1e-5c20-7d0f-9a51-3a8d5c1b2f61';

const putText = async ({ store }: TestOrigin, text: string): Promise<string> => {
  const digest = sha256(text);
  await store.putContent('shop', { content: chunks(text), size: undefined, digest });
  return digest;
};

/** A manifest of texts by path, which are put with it. */
async function manifestOf(
  origin: TestOrigin,
  texts: Readonly<Record<string, string>>,
  deleted: readonly string[] = [],
): Promise<string> {
  const objects: { path: string; digest: string }[] = [];
  for (const [path, text] of Object.entries(texts)) {
    objects.push({ path, digest: await putText(origin, text) });
  }
  return putText(origin, JSON.stringify({ objects, deleted }));
}

const release = (
  { clock }: TestOrigin,
  manifest: string,
  changed: Partial<CurrentRelease> = {},
): CurrentRelease => ({ id: ID, sequence: 7, atMs: clock.now() + 10, manifest, ...changed });

const configure = ({ releases }: TestOrigin, shop: CurrentRelease): Promise<void> =>
  releases.configure({ releases: { shop } });

describe('an origin', () => {
  test('switches to what the journal names, and vouches for it', async () => {
    const origin = await startTestOrigin();
    await origin.api('PUT', '/page.html', 'old');
    await origin.api('PUT', '/gone.html', 'gone');
    await origin.api('PUT', '/other.html', 'not of any release');
    expect((await origin.get('/page.html')).headers['canopy-fence']).toBeUndefined();
    const texts = { '/page.html': 'new', '/a.js': 'asset' };
    const manifest = await manifestOf(origin, texts, ['/gone.html']);
    await configure(origin, release(origin, manifest));
    expect(await origin.get('/page.html')).toMatchObject({
      text: 'new',
      headers: { 'canopy-fence': '7', 'content-type': 'text/html; charset=utf-8' },
    });
    expect(await origin.get('/gone.html')).toMatchObject({
      status: 404,
      headers: { 'canopy-fence': '7' },
    });
    expect((await origin.get('/a.js')).text).toBe('asset');
    expect((await origin.get('/other.html')).text).toBe('not of any release');
  });

  test('switches once: what is published after it stays', async () => {
    const origin = await startTestOrigin();
    const current = release(origin, await manifestOf(origin, { '/a': 'released' }));
    await configure(origin, current);
    await origin.api('PUT', '/a', 'put later');
    const again = new Releases({ ...parts(origin), obtain: async () => false });
    await again.configure({ releases: { shop: current } });
    expect((await origin.get('/a')).text).toBe('put later');
  });

  test('that comes late leaves what is later than the switch', async () => {
    const origin = await startTestOrigin();
    const manifest = await manifestOf(origin, { '/a': 'released', '/b': 'released' });
    const current = release(origin, manifest);
    origin.clock.nowMs += 1_000;
    await origin.api('PUT', '/a', 'put after the switch, elsewhere');
    await configure(origin, current);
    expect((await origin.get('/a')).text).toBe('put after the switch, elsewhere');
    expect((await origin.get('/b')).text).toBe('released');
  });

  test('is switched back by a release of another event', async () => {
    const origin = await startTestOrigin();
    const one = await manifestOf(origin, { '/a': 'one' });
    const two = await manifestOf(origin, { '/a': 'two' });
    await configure(origin, release(origin, one));
    origin.clock.nowMs += 1_000;
    await configure(origin, release(origin, two, { id: OTHER_ID, sequence: 8 }));
    expect((await origin.get('/a')).text).toBe('two');
    origin.clock.nowMs += 1_000;
    await configure(origin, release(origin, one, { sequence: 9 }));
    expect((await origin.get('/a')).text).toBe('one');
  });

  test('gets what it lacks from another', async () => {
    const other = await startTestOrigin();
    const manifest = await manifestOf(other, { '/a': 'text' });
    const texts = new Map([
      [
        manifest,
        JSON.stringify({ objects: [{ path: '/a', digest: sha256('text') }], deleted: [] }),
      ],
      [sha256('text'), 'text'],
    ]);
    const asked: string[] = [];
    const origin: TestOrigin = await startTestOrigin(undefined, undefined, async (_, digest) => {
      asked.push(digest);
      await putText(origin, texts.get(digest) ?? '');
      return true;
    });
    await configure(origin, release(origin, manifest));
    expect((await origin.get('/a')).text).toBe('text');
    expect(asked).toEqual([manifest, sha256('text')]);
  });

  test('that cannot switch yet serves nothing of the site, and tries again', async () => {
    const clock = new FakeClock();
    const origin = await startTestOrigin();
    let isReachable = false;
    const releases = new Releases({
      ...parts(origin),
      clock,
      obtain: async (_, digest) => {
        if (!isReachable) throw new Error('Nobody can be reached');
        await putText(origin, digest === sha256('text') ? 'text' : '');
        return true;
      },
    });
    onTestFinished(() => releases.close());
    const objects = [{ path: '/a', digest: sha256('text') }];
    const manifest = await putText(origin, JSON.stringify({ objects, deleted: [] }));
    const current = release(origin, manifest);
    await releases.configure({ releases: { shop: current } });
    expect(releases.vouched('shop')).toBeUndefined();
    const waiting = releases.isCurrent('shop', 100);
    clock.advance('100ms');
    expect(await waiting).toBe(false);
    isReachable = true;
    clock.advance('2s');
    await expect.poll(() => releases.vouched('shop')).toBe(7);
    expect(await releases.isCurrent('shop', 0)).toBe(true);
    expect((await origin.get('/a')).text).toBe('text');
  });

  test('does without contents that nobody has any more', async () => {
    const origin = await startTestOrigin();
    await origin.api('PUT', '/lost', 'old');
    const objects = [
      { path: '/lost', digest: sha256('lost') },
      { path: '/there', digest: await putText(origin, 'there') },
    ];
    const manifest = await putText(origin, JSON.stringify({ objects }));
    await configure(origin, release(origin, manifest));
    expect((await origin.get('/lost')).status).toBe(404);
    expect((await origin.get('/there')).text).toBe('there');
  });

  test('of another network does not vouch for what it was switched to there', async () => {
    const origin = await startTestOrigin();
    await configure(origin, release(origin, await manifestOf(origin, { '/a': 'a' })));
    await origin.releases.configure({});
    expect((await origin.get('/a')).headers['canopy-fence']).toBeUndefined();
  });
});

describe('preparing', () => {
  test('tells what would change, holds what is needed, and changes nothing', async () => {
    const origin = await startTestOrigin();
    const { store, clock } = origin;
    for (const path of ['/same.html', '/changed.css', '/gone.html']) {
      await origin.api('PUT', path, path);
    }
    const objects = { '/same.html': '/same.html', '/changed.css': 'other', '/new.js': 'new' };
    const manifest = await manifestOf(origin, objects, ['/gone.html', '/never.html']);
    expect(await origin.releases.prepare('shop', ID, manifest)).toEqual({
      added: ['/new.js'],
      changed: ['/changed.css'],
      deleted: ['/gone.html'],
      latestMs: (await store.latest('shop', '/gone.html'))?.atMs,
      bytes: '/same.html'.length + 'other'.length + 'new'.length,
    });
    expect((await origin.get('/changed.css')).text).toBe('/changed.css');
    clock.nowMs += 10 * 86_400_000;
    await store.collect();
    expect(await store.missing('shop', [manifest, sha256('other')])).toEqual([]);
  });

  test('is refused while contents are missing', async () => {
    const origin = await startTestOrigin();
    const objects = [{ path: '/a', digest: sha256('missing') }];
    const manifest = await putText(origin, JSON.stringify({ objects }));
    await expect(origin.releases.prepare('shop', ID, manifest)).rejects.toMatchObject({
      code: 'content-missing',
      message: `shop has no content ${sha256('missing')}`,
    });
  });
});

test('retiring takes what is as a manifest has it, and no path that another keeps', async () => {
  const origin = await startTestOrigin();
  const earlier = await manifestOf(origin, { '/a': 'a', '/b': 'b', '/c': 'c' });
  const later = await manifestOf(origin, { '/a': 'a' });
  await configure(origin, release(origin, earlier));
  origin.clock.nowMs += 1_000;
  await origin.api('PUT', '/b', 'put by hand');
  const retirement = { manifest: earlier, except: [later] };
  expect(await origin.releases.retire('shop', retirement, undefined)).toEqual(['/c']);
  expect((await origin.get('/c')).status).toBe(404);
  expect((await origin.get('/b')).text).toBe('put by hand');
});

const parts = ({ store, clock }: TestOrigin) => ({ store, clock, log: quiet });
