import { closeSync, openSync } from 'node:fs';
import { Body } from '#core/cache/body.ts';
import { DiskStore } from '#core/cache/disk/disk-store.ts';
import { Keeper } from '#core/cache/disk/keeper.ts';
import { stillClock } from './still-clock.ts';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { contentOf, objectFor } from './content.ts';

/** Uses up all file descriptors of this process, and prints how a store bears it. */
const dir = mkdtempSync(join(tmpdir(), 'canopy-files-'));
const clock = stillClock();
const keeper = await Keeper.open({ dir, budgetBytes: 1e8, clock, log: { warn: () => undefined } });
const { place, port } = keeper.connect(1);
const store = new DiskStore(place, port);
const large = (key: string) => ({ ...objectFor(key, 1), body: new Body([Buffer.alloc(100_000)]) });
const size = async () => (await contentOf(store.lookup('a')[0]?.body ?? Body.empty)).length;

await store.put(large('a'));
const taken: number[] = [];
try {
  for (;;) taken.push(openSync('/dev/null', 'r'));
} catch {
  // None is left.
}
const wroteWithoutFiles = await store.put(large('b'));
const readWithoutFiles: unknown = await size().catch(
  (error: { cause: { code: string } }) => error.cause.code,
);
const found = store.lookup('a').length;
const code = 'code' in keeper.health ? keeper.health.code : '';
for (const fd of taken) closeSync(fd);
clock.advance(60_000);
while (keeper.health.state !== 'ok') await new Promise((resolve) => void setImmediate(resolve));
const readAfter = await size();
const wroteAfter = await store.put(large('b'));
await store.close();
await keeper.close();
rmSync(dir, { recursive: true });
process.stdout.write(
  JSON.stringify({ wroteWithoutFiles, readWithoutFiles, found, code, readAfter, wroteAfter }),
);
