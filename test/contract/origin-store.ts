import { createHash } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Clock } from '#core/clock.ts';
import { type IndexedStore, UNREFERENCED_KEPT_MS } from '#origin/indexed-store.ts';
import type { Content, ObjectStore, OriginObject, SiteLimits } from '#origin/object-store.ts';
import { chunks, textOf, uploadOf, wallClock } from '#test/origin/support.ts';

export interface OpenOptions {
  readonly clock?: Clock;
  readonly limits?: Partial<SiteLimits>;
  readonly onDamaged?: (content: Content) => void;
}

/** Where a store keeps what it has, and what can happen to it there. */
export interface Place {
  /** A store on what is there; the one before must be closed. */
  open(options: OpenOptions): Promise<IndexedStore>;
  /** The names of all bodies, parts of bodies among them. */
  bodies(): Promise<readonly string[]>;
  /** Writes a body past the store; `undefined` removes it. */
  setBody(name: string, text: string | undefined): Promise<void>;
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
const anyway = (): void => undefined;
const refuse = (): void => {
  throw new Error('refused');
};

const put = async (store: ObjectStore, path: string, text: string, site = 'shop') =>
  (await store.put(site, path, uploadOf(text))).object;

const putContent = (store: ObjectStore, text: string) =>
  store.putContent('shop', { content: chunks(text), size: undefined, digest: sha256(text) });

const served = async (store: ObjectStore, path: string) =>
  textOf(store, await store.find('shop', path));

const at = (path: string, text: string) => ({
  path,
  digest: sha256(text),
  contentType: 'text/plain',
  cacheControl: undefined,
});

const ifNone = (current: OriginObject | undefined): void => {
  if (current !== undefined) throw new Error('there is one');
};

async function* cut(): AsyncGenerator<Buffer, void, undefined> {
  yield Buffer.from('ne');
  throw new Error('the client is gone');
}

/** What every origin store has to do, on a `place` of its own for each test. */
export function originStoreContract(name: string, makePlace: () => Promise<Place>): void {
  /** A store on a new place, and the way to another one on the same. */
  async function start(options: OpenOptions = {}) {
    const place = await makePlace();
    const clock = wallClock();
    let store = await place.open({ clock, ...options });
    onTestFinished(() => store.close());
    const restart = async (changed: OpenOptions = options): Promise<IndexedStore> => {
      await store.close();
      store = await place.open({ clock, ...changed });
      await store.swept;
      return store;
    };
    return { place, clock, store, restart };
  }

  /** Once what is removed behind is gone. */
  const bodiesOf = async ({ place, restart }: Awaited<ReturnType<typeof start>>) => {
    await restart();
    return place.bodies();
  };

  describe(`${name}: objects`, () => {
    test('are kept as they were put, also over a restart', async () => {
      const { store, restart } = await start();
      const { object, created } = await store.put('shop', '/a', {
        ...uploadOf('', { cacheControl: 'max-age=5' }),
        content: chunks('hello, ', 'world'),
      });
      expect(created).toBe(true);
      expect(object).toEqual({
        site: 'shop',
        path: '/a',
        digest: sha256('hello, world'),
        etag: `"${sha256('hello, world')}"`,
        size: 12,
        contentType: 'text/plain',
        cacheControl: 'max-age=5',
        lastModifiedMs: Date.UTC(2026, 0, 1),
      });
      const reopened = await restart();
      expect(await reopened.find('shop', '/a')).toEqual(object);
      expect(await textOf(reopened, object)).toBe('hello, world');
      expect(reopened.totals).toEqual({ objects: 1, bytes: 12 });
    });

    test('have any normalised path, however long or odd', async () => {
      const { store } = await start();
      const paths = ['/', '/a', '/a/', '//a', '/%2Fetc%2Fpasswd', '/%00', `/${'x'.repeat(8000)}`];
      await Promise.all(paths.map((path) => put(store, path, path)));
      for (const path of paths) expect(await served(store, path)).toBe(path);
      expect(await store.find('blog', '/a')).toBeUndefined();
      expect(store.totals.objects).toBe(paths.length);
    });

    test('may be empty', async () => {
      const { store } = await start();
      await put(store, '/empty', '');
      expect(await served(store, '/empty')).toBe('');
    });

    test('when replaced free their content, and let its reader finish', async () => {
      const started = await start();
      const { store } = started;
      const old = 'old'.repeat(200_000);
      const object = await put(store, '/a', old);
      const reading = await store.read(object);
      const second = await store.put('shop', '/a', uploadOf('new'));
      expect(second.created).toBe(false);
      expect(reading && (await buffer(reading)).toString()).toBe(old);
      expect(await store.read(object)).toBeUndefined();
      expect(store.totals).toEqual({ objects: 1, bytes: 3 });
      expect(await bodiesOf(started)).toHaveLength(1);
    });

    test('when deleted are gone', async () => {
      const started = await start();
      const { store } = started;
      await put(store, '/a', 'x');
      expect(await store.delete('shop', '/a', anyway)).toBe(true);
      expect(await store.delete('shop', '/a', anyway)).toBe(false);
      expect(await store.find('shop', '/a')).toBeUndefined();
      expect(store.totals).toEqual({ objects: 0, bytes: 0 });
      expect(await bodiesOf(started)).toEqual([]);
    });

    test('are read in parts', async () => {
      const { store } = await start();
      const object = await put(store, '/a', '0123456789');
      const part = await store.read(object, { start: 2, end: 4 });
      expect(part && (await buffer(part)).toString()).toBe('234');
    });

    test('are listed by prefix, in pages, in the order of paths', async () => {
      const { store } = await start();
      const paths = ['/b', '/a/2', '/a/1', '/a', '/a~', '/a/%2F'];
      await Promise.all(paths.map((path) => put(store, path, 'x')));
      await put(store, '/a/9', 'x', 'blog');
      const list = async (prefix: string, after: string, limit: number) =>
        (await store.list('shop', { prefix, after, limit })).map(({ path }) => path);
      expect(await list('', '', 100)).toEqual(['/a', '/a/%2F', '/a/1', '/a/2', '/a~', '/b']);
      expect(await list('/a/', '', 2)).toEqual(['/a/%2F', '/a/1']);
      expect(await list('/a/', '/a/1', 2)).toEqual(['/a/2']);
      expect(await list('/c', '', 2)).toEqual([]);
    });

    test('of two uploads at once the one that ends last stays, whole', async () => {
      const started = await start();
      const { store } = started;
      const firstMayEnd = Promise.withResolvers<void>();
      async function* slow(): AsyncGenerator<Buffer, void, undefined> {
        yield Buffer.from('slow ');
        await firstMayEnd.promise;
        yield Buffer.from('upload');
      }
      const first = store.put('shop', '/a', uploadOf('', { content: slow() }));
      await put(store, '/a', 'quick upload');
      expect(await served(store, '/a')).toBe('quick upload');
      firstMayEnd.resolve();
      expect((await first).created).toBe(false);
      expect(await served(store, '/a')).toBe('slow upload');
      expect(await bodiesOf(started)).toHaveLength(1);
    });

    test('of two that expect nothing there, one is stored', async () => {
      const { store } = await start();
      const outcomes = await Promise.allSettled(
        ['one', 'other'].map((text) => store.put('shop', '/a', uploadOf(text, { admit: ifNone }))),
      );
      expect(outcomes.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
    });

    test.each<[failure: string, upload: ReturnType<typeof uploadOf>, message: RegExp]>([
      ['is cut', uploadOf('', { content: cut() }), /gone/],
      ['is shorter than announced', uploadOf('new', { size: 4 }), /Expected 4 bytes.*received 3/],
      ['is longer than announced', uploadOf('new', { size: 2 }), /Expected 2 bytes.*received 3/],
      ['is not what its digest says', uploadOf('new', { digest: sha256('n') }), /with SHA-256/],
      ['is not admitted', uploadOf('new', { admit: refuse }), /refused/],
    ])('stay when an upload %s', async (_failure, upload, message) => {
      const started = await start();
      const { store } = started;
      const object = await put(store, '/a', 'old');
      await expect(store.put('shop', '/a', upload)).rejects.toThrow(message);
      expect(await store.find('shop', '/a')).toEqual(object);
      expect(await textOf(store, object)).toBe('old');
      expect(await bodiesOf(started)).toHaveLength(1);
    });

    test('tell replicas what happened to each path last, in order', async () => {
      const { store, restart } = await start();
      await put(store, '/a', 'a');
      await put(store, '/b', 'b');
      await put(store, '/a', 'c');
      await store.delete('shop', '/b', anyway);
      const changes = await store.changes(0, 10);
      expect(changes.map(({ path, object }) => [path, object?.etag])).toEqual([
        ['/a', `"${sha256('c')}"`],
        ['/b', undefined],
      ]);
      const { id } = store;
      const reopened = await restart();
      expect(reopened.id).toBe(id);
      expect(await reopened.changes(0, 10)).toEqual(changes);
    });
  });

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
      expect(await bodiesOf(started)).toHaveLength(1);
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
      expect(await bodiesOf(started)).toEqual([]);
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
      expect(await bodiesOf(started)).toHaveLength(2);
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

    test('hold for many at once', async () => {
      const { store } = await start({ limits: { maxBytes: 30, maxObjects: 4 } });
      const outcomes = await Promise.allSettled(
        Array.from({ length: 12 }, (_, i) => put(store, `/${i}`, `${i}`.padStart(6, '0'))),
      );
      expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(4);
      expect(store.usage('shop')).toEqual({ objects: 4, bytes: 24 });
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
