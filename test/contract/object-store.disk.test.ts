import { objectStoreContract } from './object-store.ts';
import { openDisk } from '#test/disk/support.ts';

objectStoreContract('disk', async (budgetBytes) => {
  const { store, close } = await openDisk({ budgetBytes });
  return { store, close };
});
