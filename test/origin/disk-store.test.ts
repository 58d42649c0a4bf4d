import { createHash } from 'node:crypto';
import { open, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import type { CanopyError } from '#core/errors.ts';
import { BodyFiles } from '#origin/body-files.ts';
import { bodiesDir, DiskStore } from '#origin/disk-store.ts';
import type { OriginObject } from '#origin/object-store.ts';
import { bodyNames, chunks, quiet, temporaryDir, textOf, uploadOf, wallClock } from './support.ts';

async function openStore(dir: string, bodies?: BodyFiles): Promise<DiskStore> {
  return DiskStore.open({
    dir,
    clock: wallClock(),
    log: quiet,
    ...(bodies !== undefined && { bodies }),
  });
}

const bodyFile = (dir: string, { generation }: OriginObject): string =>
  join(bodiesDir(dir), generation.slice(-2), generation);

/** Every new body lies on a device that is always full. */
class FullDisk extends BodyFiles {
  protected override create() {
    return open('/dev/full', 'w');
  }
}

describe('DiskStore', () => {
  test('keeps an object as it was put, also over a restart', async () => {
    const dir = await temporaryDir();
    const store = await openStore(dir);
    const { object, created } = await store.put('shop', '/a', {
      ...uploadOf('', { cacheControl: 'max-age=5' }),
      content: chunks('hello, ', 'world'),
    });
    expect(created).toBe(true);
    expect(object).toMatchObject({
      site: 'shop',
      path: '/a',
      size: 12,
      etag: `"${createHash('sha256').update('hello, world').digest('hex')}"`,
      contentType: 'text/plain',
      cacheControl: 'max-age=5',
      lastModifiedMs: Date.UTC(2026, 0, 1),
    });
    await store.close();

    const reopened = await openStore(dir);
    expect(await reopened.find('shop', '/a')).toEqual(object);
    expect(await textOf(reopened, object)).toBe('hello, world');
    expect(reopened.totals).toEqual({ objects: 1, bytes: 12 });
    await reopened.close();
  });

  test('takes any normalised path, however long or odd', async () => {
    const store = await openStore(await temporaryDir());
    const paths = ['/', '/a', '/a/', '//a', '/%2Fetc%2Fpasswd', '/%00', `/${'x'.repeat(8000)}`];
    for (const path of paths) await store.put('shop', path, uploadOf(path));
    for (const path of paths) {
      expect(await textOf(store, await store.find('shop', path))).toBe(path);
    }
    expect(await store.find('blog', '/a')).toBeUndefined();
    expect(store.totals.objects).toBe(paths.length);
    await store.close();
  });

  test('replaces an object, frees the old body, and lets its reader finish', async () => {
    const dir = await temporaryDir();
    const store = await openStore(dir);
    const first = await store.put('shop', '/a', uploadOf('old'.repeat(200_000)));
    const reading = await store.read(first.object);
    const second = await store.put('shop', '/a', uploadOf('new'));
    expect(second.created).toBe(false);
    expect(await bodyNames(dir)).toEqual([second.object.generation]);
    expect(reading && (await buffer(reading)).toString()).toBe('old'.repeat(200_000));
    expect(await store.read(first.object)).toBeUndefined();
    expect(store.totals).toEqual({ objects: 1, bytes: 3 });
    await store.close();
  });

  test('deletes an object and its body', async () => {
    const dir = await temporaryDir();
    const store = await openStore(dir);
    await store.put('shop', '/a', uploadOf('x'));
    expect(await store.delete('shop', '/a', () => undefined)).toBe(true);
    expect(await store.delete('shop', '/a', () => undefined)).toBe(false);
    expect(await store.find('shop', '/a')).toBeUndefined();
    expect(await bodyNames(dir)).toEqual([]);
    expect(store.totals).toEqual({ objects: 0, bytes: 0 });
    await store.close();
  });

  test('reads parts', async () => {
    const store = await openStore(await temporaryDir());
    const { object } = await store.put('shop', '/a', uploadOf('0123456789'));
    const part = await store.read(object, { start: 2, end: 4 });
    expect(part && (await buffer(part)).toString()).toBe('234');
    await store.close();
  });

  test('lists by prefix, in pages, in the order of paths', async () => {
    const store = await openStore(await temporaryDir());
    for (const path of ['/b', '/a/2', '/a/1', '/a', '/a~', '/a/%2F']) {
      await store.put('shop', path, uploadOf('x'));
    }
    await store.put('blog', '/a/9', uploadOf('x'));
    const list = async (prefix: string, after: string, limit: number) =>
      (await store.list('shop', { prefix, after, limit })).map(({ path }) => path);
    expect(await list('', '', 100)).toEqual(['/a', '/a/%2F', '/a/1', '/a/2', '/a~', '/b']);
    expect(await list('/a/', '', 2)).toEqual(['/a/%2F', '/a/1']);
    expect(await list('/a/', '/a/1', 2)).toEqual(['/a/2']);
    expect(await list('/c', '', 2)).toEqual([]);
    await store.close();
  });

  test.each<[failure: string, upload: ReturnType<typeof uploadOf>, message: RegExp]>([
    ['is cut', uploadOf('', { content: cut() }), /gone/],
    ['is shorter than announced', uploadOf('new', { size: 4 }), /Expected 4 bytes.*received 3/],
    ['is longer than announced', uploadOf('new', { size: 2 }), /Expected 2 bytes.*received 3/],
    ['is not admitted', uploadOf('new', { admit: refuse }), /refused/],
  ])('changes nothing when an upload %s', async (_failure, upload, message) => {
    const dir = await temporaryDir();
    const store = await openStore(dir);
    const { object } = await store.put('shop', '/a', uploadOf('old'));
    await expect(store.put('shop', '/a', upload)).rejects.toThrow(message);
    expect(await store.find('shop', '/a')).toEqual(object);
    expect(await textOf(store, object)).toBe('old');
    expect(await bodyNames(dir)).toEqual([object.generation]);
    await store.close();
  });

  test('says that the disk is full, and keeps what was there', async () => {
    const dir = await temporaryDir();
    const before = await openStore(dir);
    const { object } = await before.put('shop', '/a', uploadOf('old'));
    await before.close();
    const store = await openStore(dir, new FullDisk(bodiesDir(dir)));
    await expect(store.put('shop', '/a', uploadOf('new'))).rejects.toMatchObject({
      code: 'insufficient-storage',
    } satisfies Partial<CanopyError>);
    expect(await textOf(store, await store.find('shop', '/a'))).toBe('old');
    expect(await bodyNames(dir)).toEqual([object.generation]);
    await store.close();
  });

  test('of two uploads at once the one that ends last stays, whole', async () => {
    const dir = await temporaryDir();
    const store = await openStore(dir);
    const firstMayEnd = Promise.withResolvers<void>();
    async function* slow(): AsyncGenerator<Buffer, void, undefined> {
      yield Buffer.from('slow ');
      await firstMayEnd.promise;
      yield Buffer.from('upload');
    }
    const first = store.put('shop', '/a', uploadOf('', { content: slow() }));
    await store.put('shop', '/a', uploadOf('quick upload'));
    expect(await textOf(store, await store.find('shop', '/a'))).toBe('quick upload');
    firstMayEnd.resolve();
    expect((await first).created).toBe(false);
    expect(await textOf(store, await store.find('shop', '/a'))).toBe('slow upload');
    expect(await bodyNames(dir)).toHaveLength(1);
    await store.close();
  });

  test('sweeps away at its start what a crash has left behind', async () => {
    const dir = await temporaryDir();
    const before = await openStore(dir);
    const { object } = await before.put('shop', '/a', uploadOf('kept'));
    await before.close();
    await writeFile(bodyFile(dir, { ...object, generation: 'earlier-run-00' }), 'half');
    const store = await openStore(dir);
    await store.swept;
    expect(await bodyNames(dir)).toEqual([object.generation]);
    expect(await textOf(store, object)).toBe('kept');
    await store.close();
  });

  test.each<[damage: string, inflict: (file: string) => Promise<void>, message: RegExp]>([
    ['shorter than it was', (file) => truncate(file, 2), /expected 3 bytes, found 2/],
    ['missing', (file) => rm(file), /missing/],
  ])('does not serve a body that is %s', async (_damage, inflict, message) => {
    const dir = await temporaryDir();
    const store = await openStore(dir);
    const { object } = await store.put('shop', '/a', uploadOf('abc'));
    await inflict(bodyFile(dir, object));
    await expect(store.read(object)).rejects.toThrow(message);
    await store.close();
  });

  test('lets one process at a time have a directory', async () => {
    const dir = await temporaryDir();
    const store = await openStore(dir);
    await expect(openStore(dir)).rejects.toMatchObject({ code: 'conflict' });
    await store.close();
    await (await openStore(dir)).close();
  });

  test('refuses an index that is damaged or of a newer Canopy, and leaves it alone', async () => {
    const dir = await temporaryDir();
    await writeFile(join(dir, 'objects.sqlite'), 'this is no database, whatever it is named');
    await expect(openStore(dir)).rejects.toThrow(/Cannot open .*objects\.sqlite.*not a database/);

    const newer = await temporaryDir();
    const { DatabaseSync } = await import('node:sqlite');
    const database = new DatabaseSync(join(newer, 'objects.sqlite'));
    database.exec('PRAGMA user_version = 99');
    database.close();
    await expect(openStore(newer)).rejects.toThrow(/written by a newer Canopy: schema 99/);
  });
});

async function* cut(): AsyncGenerator<Buffer, void, undefined> {
  yield Buffer.from('ne');
  throw new Error('the client is gone');
}

function refuse(): void {
  throw new Error('refused');
}
