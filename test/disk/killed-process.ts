import { Worker } from 'node:worker_threads';
import { Keeper } from '#core/cache/disk/keeper.ts';
import { systemClock } from '#core/clock.ts';

/** Opens a store and writes to it from several threads until it is killed. */
const [dir = '', budgetBytes = '', version = ''] = process.argv.slice(2);
const keeper = await Keeper.open({
  dir,
  budgetBytes: Number(budgetBytes),
  clock: systemClock,
  log: { warn: (message) => process.stderr.write(`${message}\n`) },
});
for (let thread = 1; thread <= 2; thread++) {
  const { place, port } = keeper.connect(thread);
  const names = Array.from({ length: 40 }, (_, i) => `thread ${thread} key ${i}`);
  const worker = new Worker(new URL('killed-thread.ts', import.meta.url), {
    workerData: { place, port, names, version: Number(version) },
    transferList: [port],
  });
  worker.once('error', (error) => {
    process.stderr.write(`${String(error)}\n`);
    process.exit(1);
  });
}
