import { describe, expect, test } from 'vitest';
import { UNREFERENCED_KEPT_MS } from '#origin/indexed-store.ts';
import type { Content, SiteLimits } from '#origin/object-store.ts';
import { chunks, textOf, uploadOf } from '#test/origin/support.ts';
import { anyway, at, put, putContent, served, sha256, type Start } from './origin-store-kit.ts';

/** What every origin store does with contents: how they are told apart, kept, checked and counted. */
export function originContentsContract(name: string, start: Start): void {
  describe(`${name}: contents`, () => {
    test('are put once, however many paths have them', async () => {
      const started = await start();
      const { store } = started;
      await put(store, '/a', 'same');
      await put(store, '/b', 'same');
      expect((await putContent(store, 'same')).created).toBe(false);
      expect(store.usage('shop')).toEqual({ objects: 2, bytes: 4 });
      await store.delete('shop', '/a', anyway);
      expect(await served(store, '/b')).toBe('same');
      expect(await started.bodies()).toHaveLength(1);
    });

    test('that are missing are told, each once, by site', async () => {
      const { store } = await start();
      await putContent(store, 'there');
      await put(store, '/a', 'object');
      const digests = ['there', 'not', 'object', 'not'].map(sha256);
      expect(await store.missing('shop', digests)).toEqual([sha256('not')]);
      expect(await store.missing('blog', [sha256('there')])).toEqual([sha256('there')]);
    });

    test('that are not what their digest says are refused', async () => {
      const started = await start();
      const { store } = started;
      const incoming = { content: chunks('other'), size: undefined, digest: sha256('this') };
      await expect(store.putContent('shop', incoming)).rejects.toMatchObject({
        code: 'digest-mismatch',
      });
      expect(await started.bodies()).toEqual([]);
    });

    test('are published and deleted at one moment', async () => {
      const { store, restart } = await start();
      await put(store, '/old', 'old');
      await Promise.all([putContent(store, 'one'), putContent(store, 'two')]);
      const publishing = store.publish('shop', {
        objects: [at('/1', 'one'), at('/2', 'two'), at('/2b', 'two')],
        deleted: ['/old', '/never'],
      });
      // Whenever it is looked at, all of it is there or nothing.
      const seen = new Set<string>();
      const look = async () => {
        const objects = await store.list('shop', { prefix: '', after: '', limit: 10 });
        seen.add(objects.map(({ path }) => path).join(' '));
      };
      await look();
      await publishing;
      await look();
      expect([...seen]).toEqual(['/old', '/1 /2 /2b']);
      const reopened = await restart();
      expect(await served(reopened, '/2b')).toBe('two');
      expect(reopened.totals).toEqual({ objects: 3, bytes: 6 });
    });

    test('are switched to by a release at one moment, but for what is later', async () => {
      const { store, clock, restart } = await start();
      await put(store, '/old', 'old');
      await put(store, '/changed', 'old');
      await put(store, '/later', 'put later');
      for (const text of ['new', 'other']) await putContent(store, text);
      const atMs = clock.nowMs + 1_000;
      const later = (await store.find('shop', '/later'))?.lastModifiedMs ?? 0;
      const release = {
        id: 'r',
        sequence: 7,
        objects: [at('/changed', 'new'), at('/added', 'other'), at('/later', 'new')],
        deleted: ['/old', '/never'],
      };
      await expect(
        store.release('shop', { ...release, atMs, objects: [at('/x', 'missing')] }),
      ).rejects.toMatchObject({ code: 'content-missing' });
      expect(store.released('shop')).toBeUndefined();
      clock.nowMs += 2_000;
      await put(store, '/later', 'put later still');
      await store.release('shop', { ...release, atMs });
      const reopened = await restart();
      expect(reopened.released('shop')).toEqual({ id: 'r', sequence: 7 });
      const objects = await reopened.list('shop', { prefix: '', after: '', limit: 10 });
      expect(objects.map(({ path, lastModifiedMs }) => [path, lastModifiedMs])).toEqual([
        ['/added', atMs],
        ['/changed', atMs],
        ['/later', expect.toSatisfy((ms: number) => ms > Math.max(later, atMs))],
      ]);
      expect(await served(reopened, '/changed')).toBe('new');
      expect(await served(reopened, '/later')).toBe('put later still');
    });

    test('of which one is missing are not published', async () => {
      const { store } = await start();
      await put(store, '/old', 'old');
      await putContent(store, 'one');
      const publication = { objects: [at('/1', 'one'), at('/2', 'two')], deleted: ['/old'] };
      await expect(store.publish('shop', publication)).rejects.toMatchObject({
        code: 'content-missing',
        message: `shop has no content ${sha256('two')}`,
      });
      expect(await store.find('shop', '/1')).toBeUndefined();
      expect(await served(store, '/old')).toBe('old');
    });

    test('are collected once nobody has referred to them for a day', async () => {
      const { place, store, clock } = await start();
      await put(store, '/a', 'object');
      await putContent(store, 'never published');
      await putContent(store, 'asked for');
      clock.nowMs += UNREFERENCED_KEPT_MS - 1;
      expect(await store.collect()).toEqual({ contents: 0, bytes: 0 });
      expect(await store.missing('shop', [sha256('asked for')])).toEqual([]);
      clock.nowMs += 2;
      expect(await store.collect()).toEqual({ contents: 1, bytes: 15 });
      expect(await store.content('shop', sha256('asked for'))).toBeDefined();
      clock.nowMs += UNREFERENCED_KEPT_MS + 1;
      expect(await store.collect()).toEqual({ contents: 1, bytes: 9 });
      expect(await served(store, '/a')).toBe('object');
      expect(store.totals).toEqual({ objects: 1, bytes: 6 });
      expect(await place.bodies()).toHaveLength(1);
    });

    test('are not collected for a day after a start, which knows no promises', async () => {
      const { store, clock, restart } = await start();
      await putContent(store, 'x');
      clock.nowMs += UNREFERENCED_KEPT_MS;
      await store.missing('shop', [sha256('x')]);
      clock.nowMs += 10;
      const reopened = await restart();
      clock.nowMs += UNREFERENCED_KEPT_MS - 10;
      await reopened.collect();
      expect(await reopened.content('shop', sha256('x'))).toBeDefined();
      clock.nowMs += 20;
      await reopened.collect();
      expect(await reopened.content('shop', sha256('x'))).toBeUndefined();
    });

    test('that were promised outlive the path that had them', async () => {
      const { store } = await start();
      await put(store, '/a', 'x');
      expect(await store.missing('shop', [sha256('x')])).toEqual([]);
      await store.delete('shop', '/a', anyway);
      await store.publish('shop', { objects: [at('/b', 'x')], deleted: [] });
      expect(await served(store, '/b')).toBe('x');
    });

    test('that are held stay until they are let go', async () => {
      const { store, restart } = await start();
      await put(store, '/a', 'x');
      await put(store, '/b', 'y');
      await store.hold('shop', 'release-1', [sha256('x')]);
      await store.delete('shop', '/a', anyway);
      const reopened = await restart();
      expect(await reopened.content('shop', sha256('x'))).toBeDefined();
      await reopened.hold('shop', 'release-1', [sha256('y')]);
      expect(await reopened.content('shop', sha256('x'))).toBeUndefined();
      await reopened.hold('shop', 'release-1', []);
      expect(await reopened.content('shop', sha256('y'))).toBeDefined();
      await expect(reopened.hold('shop', 'r', [sha256('x')])).rejects.toMatchObject({
        code: 'content-missing',
      });
    });

    test('of an upload under way are not swept', async () => {
      const { store } = await start();
      const halfway = Promise.withResolvers<void>();
      const mayEnd = Promise.withResolvers<void>();
      async function* slow(): AsyncGenerator<Buffer, void, undefined> {
        yield Buffer.from('slow ');
        halfway.resolve();
        await mayEnd.promise;
        yield Buffer.from('upload');
      }
      const upload = store.put('shop', '/a', uploadOf('', { content: slow() }));
      await halfway.promise;
      await store.collect();
      mayEnd.resolve();
      await upload;
      await store.collect();
      expect(await served(store, '/a')).toBe('slow upload');
    });

    test('that a crash has left behind are swept away at the start', async () => {
      const { place, store, restart } = await start();
      await put(store, '/a', 'kept');
      await place.setBody('earlier-run-00', 'half');
      const reopened = await restart();
      expect(await place.bodies()).toHaveLength(1);
      expect(await served(reopened, '/a')).toBe('kept');
    });
  });

  describe(`${name}: damage`, () => {
    test.each<[damage: string, text: string | undefined]>([
      ['other bytes', 'abX'],
      ['fewer bytes', 'ab'],
      ['no body', undefined],
    ])('is not served, told once, and healed by a put: %s', async (_damage, text) => {
      const told: Content[] = [];
      const { place, store } = await start({ onDamaged: (content) => told.push(content) });
      const object = await put(store, '/a', 'abc');
      const [body = ''] = await place.bodies();
      await place.setBody(body, text);
      await expect(textOf(store, object)).rejects.toMatchObject({ code: 'internal-error' });
      await expect(store.read(object)).rejects.toThrow(/is damaged: it was found so before/);
      expect(told).toMatchObject([{ site: 'shop', digest: object.digest, size: 3 }]);
      expect(await store.missing('shop', [object.digest])).toEqual([object.digest]);
      expect((await putContent(store, 'abc')).created).toBe(true);
      expect(await served(store, '/a')).toBe('abc');
    });
  });

  describe(`${name}: checks`, () => {
    test('go through all contents in turn, and find what is damaged', async () => {
      const { place, store, clock } = await start();
      await put(store, '/a', 'abc');
      const [body = ''] = await place.bodies();
      await put(store, '/b', 'sound');
      await place.setBody(body, 'abX');
      const later = clock.nowMs + 1;
      const checked = [await store.checkNext(later), await store.checkNext(later)];
      expect(checked.map((one) => one?.size === (one?.isSound ? 5 : 3))).toEqual([true, true]);
      expect(await store.checkNext(later - 1)).toBeUndefined();
      expect(store.damaged()).toMatchObject([{ site: 'shop', digest: sha256('abc'), size: 3 }]);
      await putContent(store, 'abc');
      expect(store.damagedContents).toBe(0);
    });
  });

  describe(`${name}: versions`, () => {
    test('are kept as many as is said, deletions past them', async () => {
      const started = await start({ limits: { keepVersions: 2 } });
      const { store } = started;
      for (const text of ['1', '2', '3', '4']) await put(store, '/a', text);
      await store.delete('shop', '/a', anyway);
      const versions = await store.versions('shop', '/a');
      expect(await Promise.all(versions.map((version) => textOf(store, version)))).toEqual([
        '4',
        '3',
      ]);
      expect(store.usage('shop')).toEqual({ objects: 0, bytes: 2 });
      await store.publish('shop', { objects: [at('/a', '3')], deleted: [] });
      expect(await served(store, '/a')).toBe('3');
      expect(await started.bodies()).toHaveLength(2);
    });
  });

  describe(`${name}: quotas`, () => {
    test('of bytes hold for all contents, each counted once', async () => {
      const { store, restart } = await start({ limits: { maxBytes: 10 } });
      await put(store, '/a', '12345');
      await put(store, '/b', '12345');
      await put(store, '/c', '67890');
      await expect(put(store, '/d', 'x')).rejects.toMatchObject({ code: 'quota-exceeded' });
      await expect(put(store, '/d', 'x'.repeat(11))).rejects.toMatchObject({
        code: 'content-too-large',
      });
      await put(store, '/c', 'abcde');
      const reopened = await restart();
      await expect(put(reopened, '/d', 'x')).rejects.toMatchObject({ code: 'quota-exceeded' });
      await put(reopened, '/x', '123456789', 'blog');
      await reopened.delete('shop', '/c', anyway);
      await put(reopened, '/d', 'x');
      expect(reopened.usage('shop')).toEqual({ objects: 3, bytes: 6 });
    });

    test.each<[what: string, limits: Partial<SiteLimits>]>([
      ['bytes', { maxBytes: 29 }],
      ['objects', { maxObjects: 4 }],
    ])('of %s hold for many at once', async (_what, limits) => {
      const started = await start({ limits });
      const { store } = started;
      const outcomes = await Promise.allSettled(
        Array.from({ length: 12 }, (_, i) => put(store, `/${i}`, `${i}`.padStart(6, '0'))),
      );
      expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(4);
      expect(store.usage('shop')).toEqual({ objects: 4, bytes: 24 });
      expect(await started.bodies()).toHaveLength(4);
    });

    test('of bytes hold for contents without a path', async () => {
      const { store } = await start({ limits: { maxBytes: 9 } });
      const outcomes = await Promise.allSettled(
        ['123456', 'abcdef'].map((text) => putContent(store, text)),
      );
      expect(outcomes.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
      expect(store.usage('shop')).toEqual({ objects: 0, bytes: 6 });
    });

    test('of objects refuse a whole publication', async () => {
      const { store } = await start({ limits: { maxObjects: 2 } });
      await put(store, '/a', 'x');
      const publish = (deleted: readonly string[]) =>
        store.publish('shop', { objects: [at('/b', 'x'), at('/c', 'x')], deleted });
      await expect(publish([])).rejects.toMatchObject({ code: 'quota-exceeded' });
      expect(store.usage('shop').objects).toBe(1);
      await publish(['/a']);
      expect(store.usage('shop').objects).toBe(2);
    });

    test('let what is beyond them shrink, and replicas be the same', async () => {
      const { store, restart } = await start();
      for (const path of ['/a', '/b', '/c']) await put(store, path, path);
      const reopened = await restart({ limits: { maxBytes: 4, maxObjects: 1 } });
      expect(await reopened.delete('shop', '/a', anyway)).toBe(true);
      await put(reopened, '/b', 'b');
      const written = { by: 'replica', atMs: 1, etag: `"${sha256('long')}"` } as const;
      await reopened.put('shop', '/d', uploadOf('long', { written }));
      expect(reopened.usage('shop')).toEqual({ objects: 3, bytes: 7 });
    });
  });
}
