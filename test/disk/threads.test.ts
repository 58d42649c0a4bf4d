import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Body } from '#core/cache/body.ts';
import { contentOf, objectFor } from './content.ts';
import type { Order } from './store-thread.ts';
import { filesBelow, openDisk, type OpenDisk, recount, turnsUntil } from './support.ts';
import { join } from 'node:path';

let disk: OpenDisk;
const workers: Worker[] = [];
beforeEach(async () => {
  disk = await openDisk({ budgetBytes: 100_000_000 });
});
afterEach(async () => {
  for (const worker of workers.splice(0)) await worker.terminate();
  await disk.close();
});

/** Another thread with the store open. */
function thread(slot: number): { worker: Worker; ask: (order: Order) => Promise<unknown> } {
  const { place, port } = disk.keeper.connect(slot);
  const script = new URL('store-thread.ts', import.meta.url);
  const worker = new Worker(script, { workerData: { place, port }, transferList: [port] });
  workers.push(worker);
  const ask = async (order: Order): Promise<unknown> => {
    worker.postMessage(order);
    const [answer] = (await once(worker, 'message')) as [unknown];
    return answer;
  };
  return { worker, ask };
}

test('what one thread stores, all find; what one purges, none does from then on', async () => {
  const [one, other] = [thread(2), thread(3)];
  for (const bytes of [10, 100_000]) {
    const key = `${bytes} bytes`;
    expect(await one.ask({ do: 'find', key })).toEqual([]);
    expect(await one.ask({ do: 'put', key, bytes })).toBe(true);
    expect(await other.ask({ do: 'find', key })).toEqual([1]);
    const content = await contentOf(disk.store.lookup(key)[0]?.body ?? Body.empty);
    expect(content.equals(Buffer.alloc(bytes, key))).toBe(true);
    disk.store.purge(key, { sequence: 9, mode: 'hard', at: 9 });
    expect(await one.ask({ do: 'find', key })).toEqual([]);
    expect(await other.ask({ do: 'find', key })).toEqual([]);
    expect(await other.ask({ do: 'put', key, bytes })).toBe(true);
    expect(await one.ask({ do: 'purge', key })).toBe(1);
    expect(disk.store.lookup(key)).toEqual([]);
  }
});

test('no thread stores what another has purged while it was written', async () => {
  const writer = disk.store.reserve(objectFor('a', 1), 100_000);
  await writer?.write(Buffer.alloc(100_000));
  await thread(2).ask({ do: 'purge', key: 'a' });
  expect(await writer?.commit(objectFor('a', 1))).toBe(false);
  expect(disk.store.lookup('a')).toEqual([]);
});

test('a thread that dies in the midst of writing takes no room with it and holds up nobody', async () => {
  for (let slot = 2; slot <= 4; slot++) {
    const { worker, ask } = thread(slot);
    expect(await ask({ do: 'write on and on', key: `dead ${slot}` })).toBe('writes');
    await worker.terminate();
  }
  // Three times 24 MB were promised, of 100.
  const body = new Body([Buffer.alloc(24_000_000)]);
  const names = ['a', 'b', 'c', 'd'];
  const stored: unknown[] = [];
  // It learns of the last death a moment later.
  await turnsUntil(() => disk.keeper.underWay.bytes === 0);
  for (const key of names) stored.push(await disk.store.put({ ...objectFor(key, 1), body }));
  expect(stored).toEqual([true, true, true, true]);
  expect(names.filter((key) => disk.store.lookup(key).length > 0)).toEqual(names);
  // What they left is removed at the next start.
  await disk.stop();
  disk = await openDisk({ dir: disk.dir });
  await disk.keeper.swept;
  expect((await filesBelow(join(disk.dir, 'files'))).size).toBe(4);
  await disk.stop();
  await recount(disk.dir);
  disk = await openDisk({ dir: disk.dir });
});
