import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { Body } from '#core/cache/body.ts';
import { DiskStore } from '#core/cache/disk/disk-store.ts';
import type { DiskPlace } from '#core/cache/disk/messages.ts';
import { objectFor } from './content.ts';

/** What a test has another thread do with the store. */
export type Order =
  | { readonly do: 'put'; readonly key: string; readonly bytes: number }
  | { readonly do: 'write on and on'; readonly key: string }
  | { readonly do: 'find' | 'purge'; readonly key: string };

const { place, port } = workerData as { readonly place: DiskPlace; readonly port: MessagePort };
const store = new DiskStore(place, port);

const DO: { readonly [K in Order['do']]: (order: Order & { do: K }) => unknown } = {
  put: ({ key, bytes }) =>
    store.put({ ...objectFor(key, 1), body: new Body([Buffer.alloc(bytes, key)]) }),
  find: ({ key }) => store.lookup(key).map(({ asOf }) => asOf),
  purge: ({ key }) => store.purge(key, { sequence: 9, mode: 'hard', at: 9 }).objects,
  'write on and on': async ({ key }) => {
    const writer = store.reserve(objectFor(key, 1), 24_000_000);
    await writer?.write(Buffer.alloc(2_000_000));
    parentPort?.postMessage('writes');
    for (;;) await new Promise(setImmediate);
  },
};

parentPort?.on('message', (order: Order) => {
  void Promise.resolve(DO[order.do](order as never)).then((result: unknown) =>
    parentPort?.postMessage(result),
  );
});
