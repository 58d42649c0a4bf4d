import { POLICY_NAMES } from '#core/cache/eviction/policies.ts';
import { MemoryStore } from '#core/cache/memory.ts';
import { objectStoreContract } from './object-store.ts';

// With `fifo` nothing stays for being used, which a store otherwise promises.
for (const policy of POLICY_NAMES.filter((name) => name !== 'fifo')) {
  objectStoreContract(`memory, ${policy}`, (budgetBytes) => new MemoryStore(budgetBytes, policy));
}
