import { writeSync } from 'node:fs';
import { type MessagePort, workerData } from 'node:worker_threads';
import { DiskStore } from '#core/cache/disk/disk-store.ts';
import type { DiskPlace } from '#core/cache/disk/messages.ts';
import { contentFor, objectFor, type Said } from './content.ts';

/** Puts and purges the keys it is given for ever, and says so. */
const { place, port, names, version } = workerData as {
  readonly place: DiskPlace;
  readonly port: MessagePort;
  readonly names: readonly string[];
  readonly version: number;
};
const store = new DiskStore(place, port);
let next = version;

// At once and whole: what is said has reached the pipe before anything else happens.
const say = (said: Said): void => void writeSync(1, `${JSON.stringify(said)}\n`);

async function put(key: string): Promise<void> {
  const current = next++;
  const said = { what: 'put', key, version: current } as const;
  say({ step: 'begins', ...said });
  const { body: _body, ...head } = objectFor(key, current);
  const content = contentFor(key, current);
  const writer = store.reserve(head, content.length % 2 === 0 ? content.length : undefined);
  for (let i = 0; i < content.length; i += 60_000)
    await writer?.write(content.subarray(i, i + 60_000));
  const isStored = (await writer?.commit(head)) ?? false;
  say({ step: isStored ? 'done' : 'refused', ...said });
}

async function purge(key: string): Promise<void> {
  const current = next++;
  const said = { what: 'purge', key, version: current } as const;
  say({ step: 'begins', ...said });
  store.purge(key, { sequence: current, mode: 'hard', at: current });
  if (store.lookup(key).length > 0) throw new Error(`${key} is there after its purge`);
  await store.settled();
  say({ step: 'done', ...said });
}

async function run(share: readonly string[]): Promise<never> {
  for (;;) {
    for (const key of share) {
      if (Math.random() < 0.2) await purge(key);
      else await put(key);
    }
  }
}

// Several at once, each with keys of its own.
const LINES = 4;
for (let line = 0; line < LINES; line++) {
  void run(names.filter((_, i) => i % LINES === line));
}
