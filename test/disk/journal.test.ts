import { afterEach, expect, test } from 'vitest';
import { KeeperLink } from '#core/cache/disk/keeper-link.ts';
import { SharedState } from '#core/cache/disk/shared.ts';
import { object, purge } from '#test/contract/object-store.ts';
import { openDisk, type OpenDisk } from './support.ts';

let disk: OpenDisk | undefined;
afterEach(async () => {
  await disk?.close();
  disk = undefined;
});

/** Has the store follow a journal from `at` on, as the main thread of a node does. */
async function follow({ keeper }: OpenDisk, journal: string, at: number): Promise<void> {
  const { place, port } = keeper.connect(9);
  const link = new KeeperLink(port);
  new SharedState(place.shared).order();
  link.change({ kind: 'follow', journal, at });
  await link.recall();
  await link.settled();
  link.close();
}

const asOf = ({ store }: OpenDisk, key: string): number | undefined => store.lookup(key)[0]?.asOf;

test('what is of another journal is older than all of the one that is followed, also after a restart', async () => {
  disk = await openDisk();
  await follow(disk, 'first', 1);
  for (const key of ['a', 'b']) await disk.store.put(object({ key, asOf: 50 }));
  expect(await disk.store.advance(50)).toBe(true);
  expect([asOf(disk, 'a'), disk.store.fence]).toEqual([50, 50]);

  await follow(disk, 'second', 7);
  expect([asOf(disk, 'a'), asOf(disk, 'b'), disk.store.fence]).toEqual([0, 0, 0]);
  await disk.store.put(object({ key: 'c', asOf: 3 }));
  // By its number the purge came before what was stored as of 50 of the other journal.
  expect(disk.store.purge('a', purge({ sequence: 2 })).objects).toBe(1);
  expect(disk.store.purge('c', purge({ sequence: 2 })).objects).toBe(0);
  await disk.store.settled();

  await disk.stop();
  disk = await openDisk({ dir: disk.dir });
  const distrust = { scope: { kind: 'everything' }, epoch: { hard: 0, soft: 1, softAt: 7 } };
  expect(disk.keeper.fence).toMatchObject({ journal: 'second', sequence: 0, epochs: [distrust] });
  expect(['a', 'b', 'c'].map((key) => asOf(disk as OpenDisk, key))).toEqual([undefined, 0, 3]);
  await follow(disk, 'second', 9);
  expect([asOf(disk, 'c'), disk.keeper.fence.epochs]).toEqual([3, [distrust]]);
});

test('what is written while the journal changes is of the one that was followed when it began', async () => {
  disk = await openDisk();
  await follow(disk, 'first', 1);
  const { body: _, ...head } = object({ key: 'a', asOf: 50 });
  const writer = disk.store.reserve(head);
  void writer?.write(Buffer.from('a'));
  await follow(disk, 'second', 7);
  expect(await writer?.commit(head)).toBe(true);
  expect(asOf(disk, 'a')).toBe(0);
});
