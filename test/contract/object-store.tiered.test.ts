import { MemoryStore } from '#core/cache/memory.ts';
import { TieredStore } from '#core/cache/tiered.ts';
import { openDisk } from '#test/disk/support.ts';
import { objectStoreContract } from './object-store.ts';

objectStoreContract('memory in front of disk', async (budgetBytes) => {
  const { store, close } = await openDisk({ budgetBytes });
  return { store: new TieredStore(new MemoryStore(budgetBytes), store), close };
});
