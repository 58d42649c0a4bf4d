import { MemoryStore } from '#core/cache/memory.ts';
import { objectStoreContract } from './object-store.ts';

objectStoreContract('memory', (budgetBytes) => new MemoryStore(budgetBytes));
