import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { Body } from '#core/cache/body.ts';
import { MemoryStore } from '#core/cache/memory.ts';
import { type MemoryLedger, memoryLedger, MemoryShare } from '#core/cache/memory-share.ts';
import type { HeldObject } from '#core/cache/object.ts';
import { responseFacts } from '#core/cache/policy/response.ts';

const BUDGET_BYTES = 1024 * 1024;
const THREADS = 3;

function object(id: string, bytes: number): HeldObject {
  return {
    key: id,
    site: 'site',
    selector: '',
    fields: [],
    facts: responseFacts(200, [], 0),
    body: new Body([Buffer.allocUnsafeSlow(bytes)]),
    initialAgeMs: 0,
    receivedAt: 0,
    asOf: 0,
    softPurgedAt: undefined,
  };
}

interface Node {
  readonly ledger: MemoryLedger;
  readonly stores: MemoryStore[];
}

const storeIn = (ledger: MemoryLedger, slot: number): MemoryStore =>
  new MemoryStore(new MemoryShare(ledger, slot));

function nodeOf(threads: number): Node {
  const ledger = memoryLedger(BUDGET_BYTES, threads);
  return { ledger, stores: Array.from({ length: threads }, (_, slot) => storeIn(ledger, slot)) };
}

const heldBytes = ({ stores }: Node): number[] => stores.map((store) => store.volume().bytes);
const sum = (numbers: Iterable<number>): number => [...numbers].reduce((a, b) => a + b, 0);
const tick = ({ stores }: Node): void => {
  for (const store of stores) store.rebalance();
};

const slot = fc.nat({ max: THREADS - 1 });
const key = fc.nat({ max: 200 });
const step = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      does: fc.constant('put' as const),
      slot,
      key,
      bytes: fc.oneof(fc.nat({ max: 30_000 }), fc.nat({ max: 300_000 })),
    }),
  },
  { weight: 6, arbitrary: fc.record({ does: fc.constant('lookup' as const), slot, key }) },
  { weight: 3, arbitrary: fc.record({ does: fc.constant('delete' as const), slot, key }) },
  { weight: 3, arbitrary: fc.record({ does: fc.constant('tick' as const), slot }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('die' as const), slot }) },
);

test('whatever threads store, look up, drop, and die of: together they never have more than the budget', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
      const node = nodeOf(THREADS);
      const { ledger, stores } = node;
      const given = sum(ledger.units);
      for (const one of steps) {
        const store = stores[one.slot] as MemoryStore;
        if (one.does === 'put') {
          store.put(object(String(one.key), one.bytes));
        } else if (one.does === 'lookup') store.lookup(String(one.key));
        else if (one.does === 'delete') store.delete(String(one.key));
        else if (one.does === 'tick') store.rebalance();
        else stores[one.slot] = storeIn(ledger, one.slot);
        expect(sum(heldBytes(node))).toBeLessThanOrEqual(BUDGET_BYTES);
        expect(sum(ledger.units)).toBe(given);
        expect(Math.min(...ledger.units)).toBeGreaterThanOrEqual(0);
      }
    }),
    { numRuns: 100 },
  );
});

/** Stores `count` objects that nobody asks for again. */
function scan(store: MemoryStore | undefined, name: string, count: number): void {
  for (let i = 0; i < count; i++) store?.put(object(`${name} ${i}`, 2000));
}

test('a thread gets all that the others do not use, but for the little that each keeps', () => {
  const node = nodeOf(4);
  scan(node.stores[0], 'a', 1000);
  const [first = 0] = heldBytes(node);
  expect(first).toBeGreaterThan(0.87 * BUDGET_BYTES);
  scan(node.stores[1], 'b', 1000);
  expect(heldBytes(node)[1]).toBeGreaterThan(0.02 * BUDGET_BYTES);
});

test('what has not been used for long is given to the thread that has to let go what it has just used', () => {
  const node = nodeOf(2);
  scan(node.stores[0], 'a', 1000);
  for (let i = 0; i < 100; i++) {
    scan(node.stores[1], `b ${i}`, 20);
    tick(node);
  }
  const [idle = 0, busy = 0] = heldBytes(node);
  expect(busy).toBeGreaterThan(0.85 * BUDGET_BYTES);
  expect(idle).toBeLessThan(0.1 * BUDGET_BYTES);
});

test('what is in use stays where it is, whatever another thread would store', () => {
  const node = nodeOf(2);
  const [hot, scanned] = node.stores;
  scan(hot, 'hot', 150);
  const before = heldBytes(node)[0] ?? 0;
  for (let i = 0; i < 100; i++) {
    for (let n = 0; n < 150; n++) hot?.lookup(`hot ${n}`);
    scan(scanned, `b ${i}`, 20);
    tick(node);
  }
  expect(heldBytes(node)[0]).toBe(before);
});

test('threads that are used alike come to have alike', () => {
  const node = nodeOf(2);
  scan(node.stores[0], 'first', 1000);
  for (let i = 0; i < 300; i++) {
    for (const [at, store] of node.stores.entries()) scan(store, `${at} ${i}`, 5);
    tick(node);
  }
  const [one = 0, other = 0] = heldBytes(node);
  expect(Math.max(one, other) / Math.min(one, other)).toBeLessThan(2);
});

test('what a thread had that has died is there for all', () => {
  const node = nodeOf(2);
  const { ledger, stores } = node;
  scan(stores[0], 'a', 1000);
  stores[0] = storeIn(ledger, 0);
  scan(stores[1], 'b', 1000);
  expect(heldBytes(node)[1]).toBeGreaterThan(0.9 * BUDGET_BYTES);
});
