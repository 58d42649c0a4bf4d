import { describe } from 'vitest';
import { MemoryState } from '#test/control-plane/memory-state.ts';
import { stateStoreContract } from './state-store.ts';

let state = new MemoryState();

describe('the state that tests use', () => {
  stateStoreContract(
    async () => state,
    async () => {
      state = new MemoryState();
    },
  );
});
