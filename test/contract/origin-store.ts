import { buffer } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import type { OriginObject } from '#origin/object-store.ts';
import { chunks, textOf, uploadOf } from '#test/origin/support.ts';
import { originContentsContract } from './origin-contents.ts';
import {
  anyway,
  type Place,
  put,
  served,
  sha256,
  type Start,
  startStore,
} from './origin-store-kit.ts';

const refuse = (): void => {
  throw new Error('refused');
};

const ifNone = (current: OriginObject | undefined): void => {
  if (current !== undefined) throw new Error('there is one');
};

async function* cut(): AsyncGenerator<Buffer, void, undefined> {
  yield Buffer.from('ne');
  throw new Error('the client is gone');
}

/** What every origin store has to do, on a place of its own for each test. */
export function originStoreContract(name: string, makePlace: () => Promise<Place>): void {
  const start: Start = async (options) => startStore(await makePlace(), options);
  originContentsContract(name, start);

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
      expect(await started.bodies()).toHaveLength(1);
    });

    test('when deleted are gone', async () => {
      const started = await start();
      const { store } = started;
      await put(store, '/a', 'x');
      expect(await store.delete('shop', '/a', anyway)).toBe(true);
      expect(await store.delete('shop', '/a', anyway)).toBe(false);
      expect(await store.find('shop', '/a')).toBeUndefined();
      expect(store.totals).toEqual({ objects: 0, bytes: 0 });
      expect(await started.bodies()).toEqual([]);
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
      expect(await started.bodies()).toHaveLength(1);
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
      expect(await started.bodies()).toHaveLength(1);
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
}
