import { MemoryStore } from '#core/cache/memory.ts';
import { objectStoreContract } from './object-store.ts';

objectStoreContract('memory', (budgetBytes) => ({ store: new MemoryStore(budgetBytes) }));
