import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Body } from '#core/cache/body.ts';
import { object, purge } from '#test/contract/object-store.ts';
import { contentOf } from './content.ts';
import { openDisk, type OpenDisk, turnsUntil } from './support.ts';

const sized = (key: string, bytes: number) =>
  object({ key, body: new Body([Buffer.alloc(bytes, key)]) });

const run = (...command: readonly [string, ...string[]]): boolean =>
  spawnSync(command[0], command.slice(1)).status === 0;

/** Moves time until the store has tried the disk again. */
async function retried({ clock, keeper }: OpenDisk): Promise<void> {
  clock.advance(60_000);
  await turnsUntil(() => keeper.health.state === 'ok');
}

describe('on a small file system of its own', () => {
  let dir: string;
  beforeEach(async (context) => {
    dir = await mkdtemp(join(tmpdir(), 'canopy-small-'));
    const isMounted = run('mount', '-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', dir);
    if (!isMounted) context.skip('Only root may mount');
  });
  afterEach(async () => {
    // One of the tests mounts it a second time.
    while (run('umount', '--lazy', dir));
    await rm(dir, { recursive: true, force: true });
  });

  test('stores nothing on a full disk, serves what it has, and goes on when there is room', async () => {
    const disk = await openDisk({ dir: join(dir, 'store'), budgetBytes: 1e9 });
    const { store, keeper } = disk;
    await store.put(sized('a', 1_000_000));
    await writeFile(join(dir, 'of others'), Buffer.alloc(30_000_000)).catch(() => undefined);
    expect(await store.put(sized('b', 1_000_000))).toBe(false);
    await turnsUntil(() => keeper.health.state !== 'ok');
    expect(keeper.health).toMatchObject({ state: 'degraded', code: 'ENOSPC' });
    expect(store.reserve(sized('b', 10))).toBeUndefined();
    expect(await contentOf(store.lookup('a')[0]?.body ?? Body.empty)).toHaveLength(1_000_000);
    await rm(join(dir, 'of others'));
    await retried(disk);
    expect(await store.put(sized('b', 1_000_000))).toBe(true);
    expect(disk.warnings).toHaveLength(2);
    await disk.stop();
  });

  test('serves nothing that was purged while the disk could not be written, and heeds it for good later', async () => {
    const disk = await openDisk({ dir: join(dir, 'store'), budgetBytes: 1e9 });
    const { store, keeper } = disk;
    const names = Array.from({ length: 200 }, (_, i) => `key ${i}`);
    for (const key of names) await store.put(sized(key, 10_000));
    await writeFile(join(dir, 'of others'), Buffer.alloc(30_000_000)).catch(() => undefined);
    // What the index has left of its file is used up sooner or later.
    const purged: string[] = [];
    for (const key of names) {
      if (keeper.health.state === 'degraded') break;
      store.purge(key, purge({ mode: 'soft' }));
      purged.push(key);
      await nextTurn();
    }
    expect(keeper.health.state).toBe('degraded');
    const [key = '', ...others] = names.slice(purged.length);
    store.purge(key, purge());
    expect(store.lookup(key)).toEqual([]);
    expect(others.filter((other) => store.lookup(other).length === 0)).toEqual([]);
    const advanced = store.advance(9);
    expect(store.fence).toBe(0);
    await rm(join(dir, 'of others'));
    await retried(disk);
    expect(await advanced).toBe(true);
    expect(store.fence).toBe(9);
    expect(purged.filter((one) => store.lookup(one)[0]?.softPurgedAt === undefined)).toEqual([]);
    expect(store.lookup(key)).toEqual([]);
    await disk.stop();
  });

  test('takes less of the disk when others need it, down to nothing', async () => {
    const keepFreeBytes = 4_000_000;
    const disk = await openDisk({ dir: join(dir, 'store'), budgetBytes: 1e9, keepFreeBytes });
    const { store, keeper } = disk;
    const names = Array.from({ length: 8 }, (_, i) => `key ${i}`);
    for (const key of names) await store.put(sized(key, 1_000_000));
    await keeper.upkeep();
    expect(store.volume().objects).toBe(8);
    await writeFile(join(dir, 'of others'), Buffer.alloc(5_500_000));
    await keeper.upkeep();
    const left = store.volume().objects;
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThan(8);
    expect(keeper.health.state).toBe('ok');
    await disk.stop();
  });

  test('says what is wrong where the disk is read-only from the start', async () => {
    const first = await openDisk({ dir: join(dir, 'store') });
    await first.stop();
    expect(run('mount', '-o', 'remount,ro', dir)).toBe(true);
    await expect(openDisk({ dir: join(dir, 'store') })).rejects.toMatchObject({ code: 'EROFS' });
  });

  test('goes on from what it has where the disk becomes read-only', async () => {
    const disk = await openDisk({ dir: join(dir, 'store'), budgetBytes: 1e9 });
    const { store, keeper } = disk;
    await store.put(sized('a', 100_000));
    expect(run('mount', '--bind', dir, dir)).toBe(true);
    expect(run('mount', '-o', 'remount,ro,bind', dir)).toBe(true);
    expect(await store.put(sized('b', 100_000))).toBe(false);
    await turnsUntil(() => keeper.health.state !== 'ok');
    expect(keeper.health).toMatchObject({ state: 'degraded', code: 'EROFS' });
    expect(await contentOf(store.lookup('a')[0]?.body ?? Body.empty)).toHaveLength(100_000);
    expect(run('mount', '-o', 'remount,rw,bind', dir)).toBe(true);
    await retried(disk);
    expect(await store.put(sized('b', 100_000))).toBe(true);
    await disk.stop();
  });
});

test('drops what the disk fails to read, and says so', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'canopy-failing-'));
  const before = await openDisk({ dir, budgetBytes: 1e9 });
  await before.store.put(sized('a', 100_000));
  await before.store.put(sized('b', 100_000));
  await before.stop();
  const disk = await openDisk({ dir, budgetBytes: 1e9 });
  const { store, keeper } = disk;
  const [file = ''] = await filesOf(dir, 100_000);
  await rm(file);
  // Nothing is mapped where it begins, which the system calls an input/output error.
  await symlink('/proc/self/mem', file);
  const bodies = ['a', 'b'].map((key) => store.lookup(key)[0]?.body ?? Body.empty);
  const read = await Promise.allSettled(bodies.map((body) => contentOf(body)));
  expect(read.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
  await turnsUntil(() => keeper.health.state !== 'ok');
  expect(keeper.health).toMatchObject({ state: 'degraded', code: 'EIO' });
  await retried(disk);
  expect(keeper.health).toEqual({ state: 'ok' });
  expect(await store.put(sized('c', 100_000))).toBe(true);
  await turnsUntil(() => store.volume().objects === 2);
  await disk.stop();
  await rm(dir, { recursive: true });
});

/** Files of at least so many bytes. */
async function filesOf(dir: string, bytes: number): Promise<string[]> {
  const names = await readdir(dir, { recursive: true });
  const paths = names.map((name) => join(dir, name)).filter((path) => !path.endsWith('.mdb'));
  return paths.filter((path) => statSync(path).isFile() && statSync(path).size >= bytes);
}

test('goes on when the process may open no more files', () => {
  const script = new URL('out-of-files.ts', import.meta.url).pathname;
  const { stdout, stderr, status } = spawnSync(
    'sh',
    ['-c', 'ulimit -n 60; exec "$0" "$1"', process.execPath, script],
    { encoding: 'utf8' },
  );
  expect(stderr).toBe('');
  expect(status).toBe(0);
  expect(JSON.parse(stdout)).toEqual({
    wroteWithoutFiles: false,
    readWithoutFiles: 'EMFILE',
    found: 1,
    code: 'EMFILE',
    readAfter: 100_000,
    wroteAfter: true,
  });
});
