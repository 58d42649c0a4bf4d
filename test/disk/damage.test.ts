import { spawnSync } from 'node:child_process';
import { open, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { afterEach, expect, test } from 'vitest';
import { Body } from '#core/cache/body.ts';
import { BodyLost } from '#core/cache/disk/file-body.ts';
import { FORMAT } from '#core/cache/disk/format.ts';
import { IndexDb } from '#core/cache/disk/index-db.ts';
import { object } from '#test/contract/object-store.ts';
import { contentOf } from './content.ts';
import { filesBelow, openDisk, type OpenDisk, recount } from './support.ts';

const LARGE = randomBytes(300_000);
const large = (key: string) => object({ key, body: new Body([LARGE]) });

let disk: OpenDisk | undefined;
afterEach(async () => {
  await disk?.close();
  disk = undefined;
});

async function stored(...keys: string[]): Promise<OpenDisk> {
  disk = await openDisk();
  for (const key of keys) await disk.store.put(large(key));
  return disk;
}

/** Stops the store, does something to its directory, and opens it again. */
async function reopened(change: (dir: string) => Promise<void>): Promise<OpenDisk> {
  const before = disk ?? (await stored());
  await before.stop();
  await change(before.dir);
  disk = await openDisk({ dir: before.dir });
  return disk;
}

async function onlyFile({ dir }: OpenDisk): Promise<string> {
  const [name] = (await filesBelow(join(dir, 'files'))).keys();
  return join(dir, 'files', name ?? '');
}

async function overwrite(path: string, at: number, bytes: Buffer): Promise<void> {
  const handle = await open(path, 'r+');
  await handle.write(bytes, 0, bytes.length, at);
  await handle.close();
}

test.for([
  ['changed at its begin', (path: string) => overwrite(path, 10, Buffer.from([1, 2]))],
  ['changed in a checksum', (path: string) => overwrite(path, 0, Buffer.from([1, 2]))],
  ['shorter', (path: string) => truncate(path, 1000)],
  ['empty', (path: string) => truncate(path, 0)],
  ['gone', (path: string) => rm(path)],
] as const)('hands out nothing of a body whose file is %s, and drops it', async ([, change]) => {
  const { store, dir, stop } = await stored('a');
  await change(await onlyFile({ dir } as OpenDisk));
  const body = store.lookup('a')[0]?.body ?? Body.empty;
  await expect(contentOf(body)).rejects.toThrow(BodyLost);
  expect(store.lookup('a')).toEqual([]);
  await store.settled();
  expect(store.stats()[0]).toMatchObject({ objects: 0, evicted: { damaged: 1 } });
  await stop();
  await recount(dir);
});

test('hands out of a body what comes before the damage', async () => {
  const found = await stored('a');
  await overwrite(await onlyFile(found), 290_000, Buffer.from([1, 2]));
  const body = found.store.lookup('a')[0]?.body ?? Body.empty;
  expect((await contentOf(body, 0, 99_999)).equals(LARGE.subarray(0, 100_000))).toBe(true);
  await expect(contentOf(body)).rejects.toThrow(BodyLost);
});

test('reads a few blocks at once as it does in pieces', async () => {
  const found = await stored('a');
  const body = found.store.lookup('a')[0]?.body;
  if (body === undefined || body instanceof Body) throw new Error('It is not in a file');
  for (const [start, end] of RANGES) {
    const held = Buffer.concat(await body.readHeld(start, end));
    expect(held.equals(LARGE.subarray(start, end + 1)), `${start}-${end}`).toBe(true);
  }
  await overwrite(await onlyFile(found), 70_000, Buffer.from([1, 2]));
  expect((await body.readHeld(0, 65_535))[0]?.equals(LARGE.subarray(0, 65_536))).toBe(true);
  await expect(body.readHeld(0, 65_536)).rejects.toThrow(BodyLost);
  expect(found.store.lookup('a')).toEqual([]);
});

/** Within a block, to its edges, over them, and to the end of the body. */
const RANGES = [
  [0, 0],
  [10, 20],
  [0, 65_535],
  [65_535, 65_536],
  [65_536, 131_071],
  [1, 262_144],
  [299_999, 299_999],
  [100_000, 299_999],
] as const;

test('takes no block of another file or another place for its own', async () => {
  const found = await stored('a', 'b');
  const [a = '', b = ''] = [...(await filesBelow(join(found.dir, 'files'))).keys()].map((name) =>
    join(found.dir, 'files', name),
  );
  await rename(a, b);
  for (const key of ['a', 'b']) {
    const body = found.store.lookup(key)[0]?.body ?? Body.empty;
    await expect(contentOf(body)).rejects.toThrow(BodyLost);
  }
});

test('reads a body to its end that is evicted meanwhile', async () => {
  const { store } = await stored('a');
  const body = store.lookup('a')[0]?.body;
  if (body === undefined || body instanceof Body) throw new Error('It is not in a file');
  const reader = body.read();
  const first = await reader.next();
  store.delete('a');
  await store.settled();
  const rest = await Array.fromAsync(reader);
  expect(Buffer.concat([first.value as Buffer, ...rest]).equals(LARGE)).toBe(true);
  await expect(contentOf(body)).rejects.toThrow(BodyLost);
  expect(store.stats()[0]?.evicted.damaged).toBe(0);
});

test('removes behind what it finds at its start: files of nobody, and records whose files are gone', async () => {
  const { dir } = await stored('a', 'b');
  const { store, keeper, stop } = await reopened(async () => {
    const [name] = (await filesBelow(join(dir, 'files'))).keys();
    await rename(join(dir, 'files', name ?? ''), join(dir, 'files/1/0/77'));
    await writeFile(join(dir, 'files/1/0/notanumber'), '');
  });
  await keeper.swept;
  expect(store.lookup('a')).toEqual([]);
  expect((await contentOf(store.lookup('b')[0]?.body ?? Body.empty)).equals(LARGE)).toBe(true);
  expect(store.stats()[0]?.evicted.damaged).toBe(1);
  await rm(join(dir, 'files/1/0/notanumber'));
  await stop();
  await recount(dir);
});

const DATA = 'index/data.mdb';
test.for([
  ['cut off', async (dir: string) => truncate(join(dir, DATA), 20_000)],
  ['empty', async (dir: string) => truncate(join(dir, DATA), 0)],
  ['random', async (dir: string) => writeFile(join(dir, DATA), randomBytes(100_000))],
  ['shorter than a page', async (dir: string) => writeFile(join(dir, DATA), randomBytes(100))],
  ['zero', async (dir: string) => writeFile(join(dir, DATA), Buffer.alloc(100_000))],
  ['text', async (dir: string) => writeFile(join(dir, DATA), 'text\n'.repeat(10_000))],
  [
    'zero in all but its head',
    async (dir: string) => {
      const { length } = await readFile(join(dir, DATA));
      await overwrite(join(dir, DATA), 8192, Buffer.alloc(length - 8192));
    },
  ],
  [
    'of a later format',
    async (dir: string) => {
      const index = new IndexDb(dir, 1e9);
      index.set('format', FORMAT + 1);
      await index.close();
    },
  ],
] as const)('begins anew where the index is %s', async ([, change]) => {
  const { dir } = await stored('a', 'b');
  const { store, keeper, warnings, stop } = await reopened(change);
  await keeper.swept;
  expect(store.lookup('a')).toEqual([]);
  expect(await store.put(large('c'))).toBe(true);
  expect((await contentOf(store.lookup('c')[0]?.body ?? Body.empty)).equals(LARGE)).toBe(true);
  expect(warnings.length).toBeLessThanOrEqual(1);
  await stop();
  await recount(dir);
});

test('a process that dies of damage in the midst of the index dies of it once', async () => {
  const { dir } = await stored();
  const small = Array.from({ length: 3000 }, (_, i) => object({ key: `key ${i}` }));
  await Promise.all(small.map(async (one) => disk?.store.put(one)));
  const script = new URL('reading-process.ts', import.meta.url).pathname;
  const ends: unknown[] = [];
  let warned = '';
  await reopened(async () => {
    const { length } = await readFile(join(dir, DATA));
    await overwrite(join(dir, DATA), 16_384, randomBytes(length - 16_384));
    for (let start = 0; start < 3; start++) {
      const { status, signal, stderr } = spawnSync(process.execPath, [script, dir], {
        encoding: 'utf8',
      });
      ends.push(status ?? signal);
      warned += stderr;
    }
  });
  // Whether it dies at all is up to what the garbage looks like.
  expect(ends.slice(1)).toEqual([0, 0]);
  expect(warned).toContain('Discarded');
});
