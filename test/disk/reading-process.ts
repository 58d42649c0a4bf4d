import { DiskStore } from '#core/cache/disk/disk-store.ts';
import { Keeper } from '#core/cache/disk/keeper.ts';
import { objectFor } from './content.ts';
import { stillClock } from './still-clock.ts';

/** Opens a store, looks up and puts, and closes it again. */
const [, , dir = ''] = process.argv;
const log = { warn: (message: string) => void process.stderr.write(`${message}\n`) };
const keeper = await Keeper.open({ dir, budgetBytes: 1e8, clock: stillClock(), log });
const { place, port } = keeper.connect(1);
const store = new DiskStore(place, port);
for (let i = 0; i < 3000; i++) store.lookup(`key ${i}`);
for (let i = 0; i < 100; i++) await store.put(objectFor(`key ${i}`, i));
await store.close();
await keeper.close();
