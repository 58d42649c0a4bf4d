import { spawnSync } from 'node:child_process';
import { afterEach, expect, test } from 'vitest';
import { Body } from '#core/cache/body.ts';
import { PUT_BYTES } from '#core/cache/disk/disk-store.ts';
import { INDEX_SLACK_BYTES } from '#core/cache/disk/limits.ts';
import type { KeeperOptions } from '#core/cache/disk/keeper.ts';
import { object } from '#test/contract/object-store.ts';
import { RECEIVED_AT } from '#test/policy/facts.ts';
import { filesBelow, openDisk, type OpenDisk, recount } from './support.ts';

let disk: OpenDisk | undefined;
afterEach(async () => {
  await disk?.close();
  disk = undefined;
});

async function opened(options: Partial<KeeperOptions>): Promise<OpenDisk> {
  disk = await openDisk(options);
  return disk;
}

const sized = (key: string, bytes: number) =>
  object({ key, body: new Body([Buffer.alloc(bytes, key)]) });
const names = (name: string, count: number): string[] =>
  Array.from({ length: count }, (_, i) => `${name} ${i}`);
const at = (seconds: number) => ({ expiresAt: RECEIVED_AT + seconds * 1000 });
const held = ({ store }: OpenDisk, keys: readonly string[]): string[] =>
  keys.filter((key) => store.lookup(key).length > 0);

/** Bytes that all in the directory takes. */
async function bytesOnDisk({ dir }: OpenDisk): Promise<number> {
  return [...(await filesBelow(dir)).values()].reduce((sum, bytes) => sum + bytes, 0);
}

test('takes no more of the disk than its budget and a constant, whatever sizes come', async () => {
  const budgetBytes = 15_000_000;
  const found = await opened({ budgetBytes });
  let most = 0;
  for (let round = 0; round < 12; round++) {
    // First small ones, then large ones, then both.
    const puts = Array.from({ length: 120 }, async (_, i) => {
      const isLarge = round >= 4 && (round < 8 || i % 2 === 0);
      return found.store.put(sized(`${round} ${i}`, isLarge ? 17_000 + i * 1000 : i * 130));
    });
    await Promise.all(puts);
    await found.store.settled();
    expect(found.store.volume().bytes).toBeLessThanOrEqual(budgetBytes);
    most = Math.max(most, await bytesOnDisk(found));
  }
  expect(found.store.stats()[0]?.evicted.capacity).toBeGreaterThan(500);
  expect(most).toBeGreaterThan(budgetBytes * 0.8);
  expect(most).toBeLessThan(budgetBytes + INDEX_SLACK_BYTES);
  await found.stop();
  await recount(found.dir);
});

test('refuses what is put faster than the disk takes it, and counts that', async () => {
  const { store } = await opened({});
  const bytes = 1_000_000;
  const puts = names('at once', 60).map((key) => store.put(sized(key, bytes)));
  const accepted = puts.filter((put) => put instanceof Promise);
  expect(accepted.length).toBe(Math.floor(PUT_BYTES / (bytes + 4096)));
  expect(store.stats()[0]?.refused).toBe(puts.length - accepted.length);
  expect(await Promise.all(accepted)).toEqual(accepted.map(() => true));
  // What has been written makes room for more.
  expect(await store.put(sized('later', bytes))).toBe(true);
});

test('keeps to its number of files', async () => {
  const found = await opened({ maxFiles: 10 });
  for (const key of names('large', 30)) {
    expect(await found.store.put(sized(key, 20_000))).toBe(true);
    expect((await filesBelow(`${found.dir}/files`)).size).toBeLessThanOrEqual(11);
  }
  const small = names('small', 30);
  for (const key of small) await found.store.put(sized(key, 10));
  expect(held(found, names('large', 30)).length).toBeLessThanOrEqual(10);
  expect(held(found, small)).toEqual(small);
});

test('makes room ahead of need, so that what comes does not have to wait for it', async () => {
  const { store, keeper } = await opened({ budgetBytes: 10_000_000 });
  for (const key of names('a', 120)) await store.put(sized(key, 100_000));
  const before = store.volume().bytes;
  expect(before).toBeGreaterThan(9_800_000);
  await keeper.upkeep();
  expect(store.volume().bytes).toBeLessThanOrEqual(9_600_000);
});

test('keeps what is used over what is only new', async () => {
  const found = await opened({ budgetBytes: 10_000_000 });
  const used = names('used', 20);
  for (const key of used) await found.store.put(sized(key, 100_000));
  held(found, used);
  for (const key of names('scan', 400)) {
    await found.store.put(sized(key, 100_000));
    if (Number(key.slice(5)) % 20 === 0) held(found, used);
  }
  expect(held(found, used)).toEqual(used);
});

test('evicts nothing from the reserve for want of room', async () => {
  const found = await opened({ budgetBytes: 10_000_000, reserveBytes: 3_000_000 });
  const { store } = found;
  const reserved = names('reserved', 20);
  for (const key of reserved) await store.put(sized(key, 100_000), { reserved: true });
  for (const key of names('other', 200)) await store.put(sized(key, 100_000));
  expect(held(found, reserved)).toEqual(reserved);
  store.purge('reserved 3', { sequence: 9, mode: 'hard', at: 9 });
  await store.settled();
  expect(held(found, reserved)).toHaveLength(19);
});

test('takes into the ordinary part what the reserve has no room for', async () => {
  const found = await opened({ budgetBytes: 10_000_000, reserveBytes: 1_000_000 });
  const { store } = found;
  const reserved = names('reserved', 20);
  for (const key of reserved) {
    expect(await store.put(sized(key, 100_000), { reserved: true })).toBe(true);
  }
  expect(store.volume().objects).toBe(20);
  for (const key of names('other', 300)) await store.put(sized(key, 100_000));
  const kept = held(found, reserved);
  expect(kept).toEqual(reserved.slice(0, kept.length));
  expect(kept.length).toBeGreaterThan(5);
  expect(kept.length).toBeLessThan(11);
});

test('drops what has expired, the reserve not excepted', async () => {
  const found = await opened({ reserveBytes: 1_000_000 });
  const { store, keeper, clock } = found;
  await store.put(sized('a', 10), at(10));
  await store.put(sized('b', 20_000), { ...at(10), reserved: true });
  await store.put(sized('c', 10), at(30));
  await store.put(sized('d', 10));
  clock.advance(20_000);
  await keeper.upkeep();
  expect(held(found, ['a', 'b', 'c', 'd'])).toEqual(['c', 'd']);
  expect(store.stats()[0]?.evicted.expired).toBe(2);
});

test('remembers over a restart where things stand', async () => {
  const first = await opened({ budgetBytes: 10_000_000, reserveBytes: 3_000_000 });
  await first.store.put(sized('reserved', 100_000), { reserved: true });
  await first.store.put(sized('old', 100_000));
  await first.store.advance(7);
  first.store.raise({ kind: 'site', site: 'site' }, { sequence: 8, mode: 'hard', at: 1 });
  first.store.raise({ kind: 'site', site: 'site' }, { sequence: 5, mode: 'soft', at: 2 });
  first.store.raise({ kind: 'everything' }, { sequence: 6, mode: 'soft', at: 3 });
  const tag = { kind: 'tag' as const, site: 'site', name: 'x'.repeat(1_024) };
  first.store.raise(tag, { sequence: 9, mode: 'hard', at: 4 });
  await first.store.settled();
  await first.stop();
  const { dir } = first;
  const found = await opened({ dir, budgetBytes: 10_000_000, reserveBytes: 3_000_000 });
  expect(found.store.fence).toBe(7);
  expect(found.store.epochs).toEqual([
    { scope: { kind: 'everything' }, epoch: { hard: 0, soft: 6, softAt: 3 } },
    { scope: { kind: 'site', site: 'site' }, epoch: { hard: 8, soft: 5, softAt: 2 } },
    { scope: tag, epoch: { hard: 9, soft: 0, softAt: 0 } },
  ]);
  await found.store.advance(3);
  expect(found.store.fence).toBe(7);
  for (const key of names('other', 200)) await found.store.put(sized(key, 100_000));
  expect(held(found, ['reserved', 'old'])).toEqual(['reserved']);
});

test('belongs to one process at a time', async () => {
  const { dir } = await opened({});
  const script = new URL('killed-process.ts', import.meta.url).pathname;
  const { status, stderr } = spawnSync(process.execPath, [script, dir, '1000000', '1'], {
    encoding: 'utf8',
  });
  expect(status).toBe(1);
  expect(stderr).toContain('Another process has the disk store in');
});
