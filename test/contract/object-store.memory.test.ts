import { expect, test } from 'vitest';
import { Body } from '#core/cache/body.ts';
import { POLICY_NAMES } from '#core/cache/eviction/policies.ts';
import { MemoryStore } from '#core/cache/memory.ts';
import { object as sampleObject, objectStoreContract } from './object-store.ts';

// With `fifo` nothing stays for being used, which a store otherwise promises.
for (const policy of POLICY_NAMES.filter((name) => name !== 'fifo')) {
  objectStoreContract(`memory, ${policy}`, (budgetBytes) => ({
    store: new MemoryStore(budgetBytes, policy),
  }));
}

test('what would leave no room for others is refused, and those stay', () => {
  const store = new MemoryStore(1_000_000);
  store.put(sampleObject({ key: 'small' }));
  const large = sampleObject({ key: 'large', body: new Body([Buffer.alloc(900_000)]) });
  expect(store.put(large)).toBe(false);
  expect(store.lookup('small')).toHaveLength(1);
  expect(store.stats()[0].refused).toBe(1);
});

test('what leaves for want of room is counted', () => {
  const store = new MemoryStore(1_000_000);
  for (let i = 0; i < 20; i++) {
    store.put(sampleObject({ key: `${i}`, body: new Body([Buffer.alloc(100_000)]) }));
  }
  expect(store.stats()[0].evicted.capacity).toBe(20 - store.volume().objects);
});
