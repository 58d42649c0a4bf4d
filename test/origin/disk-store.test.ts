import { mkdir, open, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, onTestFinished, test } from 'vitest';
import type { CanopyError } from '#core/errors.ts';
import { BodyFiles } from '#origin/body-files.ts';
import { bodiesDir, openDiskStore } from '#origin/disk-store.ts';
import { bodyNames, quiet, temporaryDir, textOf, uploadOf, wallClock } from './support.ts';

const openStore = (dir: string, bodies = new BodyFiles(bodiesDir(dir))) =>
  openDiskStore({ dir, clock: wallClock(), log: quiet, bodies });

/** Every new body lies on a device that is always full. */
class FullDisk extends BodyFiles {
  protected override create() {
    return open('/dev/full', 'w');
  }
}

test('says that the disk is full, and keeps what was there', async () => {
  const dir = await temporaryDir();
  const before = await openStore(dir);
  await before.put('shop', '/a', uploadOf('old'));
  await before.close();
  const store = await openStore(dir, new FullDisk(bodiesDir(dir)));
  await expect(store.put('shop', '/a', uploadOf('new'))).rejects.toMatchObject({
    code: 'insufficient-storage',
  } satisfies Partial<CanopyError>);
  expect(await textOf(store, await store.find('shop', '/a'))).toBe('old');
  expect(await bodyNames(dir)).toHaveLength(1);
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
  const database = new DatabaseSync(join(newer, 'objects.sqlite'));
  database.exec('PRAGMA user_version = 99');
  database.close();
  await expect(openStore(newer)).rejects.toThrow(/written by a newer Canopy: schema 99/);
});

/** The tables as they were before contents had a table of their own. */
const SECOND_SCHEMA = `
  CREATE TABLE objects (
    site TEXT NOT NULL, path TEXT NOT NULL, generation TEXT NOT NULL UNIQUE, etag TEXT NOT NULL,
    size INTEGER NOT NULL, contentType TEXT NOT NULL, cacheControl TEXT,
    lastModifiedMs INTEGER NOT NULL, PRIMARY KEY (site, path)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE changes (
    change INTEGER PRIMARY KEY AUTOINCREMENT, site TEXT NOT NULL, path TEXT NOT NULL,
    atMs INTEGER NOT NULL, UNIQUE (site, path)
  ) STRICT;
  CREATE TABLE store (id TEXT NOT NULL) STRICT;
  CREATE TABLE followed (
    replica TEXT PRIMARY KEY, store TEXT NOT NULL, change INTEGER NOT NULL
  ) STRICT;
  INSERT INTO store VALUES ('store-of-before');
  PRAGMA user_version = 2;`;

test('takes over what an earlier Canopy kept', async () => {
  const dir = await temporaryDir();
  const sha256 = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
  for (const name of ['run-00', 'run-01']) {
    const file = join(bodiesDir(dir), name.slice(-2), name);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, 'abc');
  }
  const database = new DatabaseSync(join(dir, 'objects.sqlite'));
  database.exec(SECOND_SCHEMA);
  const put = database.prepare(`INSERT INTO objects VALUES ('shop', ?, ?, ?, 3, 'text/x', ?, 7)`);
  const note = database.prepare(`INSERT INTO changes (site, path, atMs) VALUES ('shop', ?, 7)`);
  for (const [path, name, cacheControl] of [
    ['/a', 'run-00', 'max-age=5'],
    ['/b', 'run-01', null],
  ] as const) {
    put.run(path, name, `"${sha256}"`, cacheControl);
    note.run(path);
  }
  database.close();

  const store = await openStore(dir);
  onTestFinished(() => store.close());
  const object = await store.find('shop', '/a');
  expect(object).toEqual({
    site: 'shop',
    path: '/a',
    digest: sha256,
    etag: `"${sha256}"`,
    size: 3,
    contentType: 'text/x',
    cacheControl: 'max-age=5',
    lastModifiedMs: 7,
  });
  expect(await textOf(store, await store.find('shop', '/b'))).toBe('abc');
  expect(store.id).toBe('store-of-before');
  expect(await store.changes(0, 10)).toMatchObject([{ path: '/a', change: 1 }, { path: '/b' }]);
  expect(store.usage('shop')).toEqual({ objects: 2, bytes: 3 });
  await store.swept;
  expect(await bodyNames(dir)).toHaveLength(1);
});
