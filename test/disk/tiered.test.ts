import { afterEach, beforeEach, expect, test } from 'vitest';
import { Body } from '#core/cache/body.ts';
import { MemoryStore } from '#core/cache/memory.ts';
import { TieredStore } from '#core/cache/tiered.ts';
import { object, purge } from '#test/contract/object-store.ts';
import { contentOf } from './content.ts';
import { openDisk, type OpenDisk, turnsUntil } from './support.ts';

let disk: OpenDisk;
let memory: MemoryStore;
let store: TieredStore;
beforeEach(async () => {
  disk = await openDisk();
  memory = new MemoryStore(10_000_000);
  store = new TieredStore(memory, disk.store);
});
afterEach(() => disk.close());

const sized = (selector: string, bytes: number) =>
  object({ selector, body: new Body([Buffer.alloc(bytes, selector)]) });
const { key } = object();
const selectors = (): string[] => store.lookup(key).map(({ selector }) => selector);

test('what is small comes into memory when it is found on disk', async () => {
  await disk.store.put(sized('a', 1000));
  expect(memory.lookup(key)).toEqual([]);
  expect(selectors()).toEqual(['a']);
  expect(memory.lookup(key)).toEqual([sized('a', 1000)]);
});

test('what is larger comes into memory when it is found a second time', async () => {
  await disk.store.put(sized('a', 500_000));
  store.lookup(key);
  expect(store.lookup(key)[0]?.body).not.toBeInstanceOf(Body);
  await turnsUntil(() => memory.volume().objects > 0);
  const [found] = store.lookup(key);
  expect(found?.body).toBeInstanceOf(Body);
  const content = await contentOf(found?.body ?? Body.empty);
  expect(content.equals(Buffer.alloc(500_000, 'a'))).toBe(true);
});

test('nothing comes into memory that was purged while it was read', async () => {
  await disk.store.put(sized('a', 500_000));
  store.lookup(key);
  store.lookup(key);
  store.purge(key, purge());
  await store.settled();
  await disk.store.put(object({ key: 'b' }));
  expect(memory.lookup(key)).toEqual([]);
  expect(store.lookup(key)).toEqual([]);
});

test('a variant in memory does not hide those on disk', async () => {
  await disk.store.put(sized('a', 10));
  await disk.store.put(sized('b', 500_000));
  await store.put(sized('c', 10));
  expect(new Set(selectors())).toEqual(new Set(['a', 'b', 'c']));
  expect(new Set(selectors())).toEqual(new Set(['a', 'b', 'c']));
});

test('what memory does not take lasts all the same, and replaces what it had', async () => {
  await store.put(sized('a', 10));
  expect(await store.put(sized('a', 11_000_000))).toBe(true);
  expect(store.lookup(key).map(({ body }) => body.size)).toEqual([11_000_000]);
});

test('goes on from memory where the disk takes nothing', async () => {
  await disk.keeper.close();
  expect(await store.put(sized('a', 10))).toBe(true);
  expect(selectors()).toEqual(['a']);
});
