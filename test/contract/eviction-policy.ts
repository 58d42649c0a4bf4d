import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BudgetedMap, type MakePolicy } from '#core/cache/eviction/budgeted-map.ts';
import { hash32 } from '#core/hash.ts';

const BUDGET_BYTES = 1000;

const map = (makePolicy: MakePolicy, onEvicted: (value: string) => void = () => undefined) =>
  new BudgetedMap<string, string>({
    budgetBytes: BUDGET_BYTES,
    makePolicy,
    hashOf: hash32,
    onEvicted,
  });

const key = fc.integer({ min: 0, max: 30 }).map((id) => `key ${id}`);
const bytes = fc.oneof(fc.integer({ min: 1, max: 200 }), fc.constantFrom(0, 1, 999, BUDGET_BYTES));
const steps = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.record({ does: fc.constant('get' as const), key }) },
    { weight: 4, arbitrary: fc.record({ does: fc.constant('set' as const), key, bytes }) },
    { weight: 1, arbitrary: fc.record({ does: fc.constant('delete' as const), key }) },
  ),
  { maxLength: 400 },
);

/** What every eviction policy promises to the cache that it serves. */
export function evictionPolicyContract(name: string, makePolicy: MakePolicy): void {
  describe(`eviction policy: ${name}`, () => {
    test('what is held is within the budget, what was put and has not left, and nothing else', () => {
      fc.assert(
        fc.property(steps, (taken) => {
          const model = new Map<string, { value: string; bytes: number }>();
          const cache = map(makePolicy, (value) => {
            const left = [...model].find(([, held]) => held.value === value);
            expect(left, `${value} left, but was not there`).toBeDefined();
            model.delete(left?.[0] ?? '');
          });
          let puts = 0;
          for (const step of taken) {
            const found = step.does === 'get' ? cache.get(step.key) : cache.peek(step.key);
            expect(found).toBe(model.get(step.key)?.value);
            if (step.does === 'delete') {
              cache.delete(step.key);
              model.delete(step.key);
            } else if (step.does === 'set') {
              const value = `value ${puts++}`;
              cache.set(step.key, value, step.bytes);
              model.set(step.key, { value, bytes: step.bytes });
            }
            const held = [...model.values()].reduce((sum, one) => sum + one.bytes, 0);
            expect(cache.bytes).toBe(held);
            expect(cache.bytes).toBeLessThanOrEqual(BUDGET_BYTES);
            expect([...cache.keys()].toSorted()).toEqual([...model.keys()].toSorted());
          }
        }),
        { numRuns: 200 },
      );
    });

    test('the same steps have the same outcome', () => {
      fc.assert(
        fc.property(steps, (taken) => {
          const outcome = (): string[] => {
            const left: string[] = [];
            const cache = map(makePolicy, (value) => left.push(value));
            for (const step of taken) {
              if (step.does === 'get') cache.get(step.key);
              else if (step.does === 'delete') cache.delete(step.key);
              else cache.set(step.key, step.key, step.bytes);
            }
            return [...left, '', ...cache.keys()];
          };
          expect(outcome()).toEqual(outcome());
        }),
        { numRuns: 50 },
      );
    });

    test('keeps all while there is room', () => {
      const cache = map(makePolicy, (value) => expect.unreachable(`${value} left`));
      for (let i = 0; i < 1000; i++) cache.set(`key ${i}`, `${i}`, 1);
      for (let i = 0; i < 1000; i++) expect(cache.get(`key ${i}`)).toBe(`${i}`);
    });

    test('an entry that grows stays, and others make room for it', () => {
      const cache = map(makePolicy);
      for (let i = 0; i < 10; i++) cache.set(`key ${i}`, 'small', 100);
      cache.set('key 0', 'large', 950);
      expect(cache.peek('key 0')).toBe('large');
      expect(cache.size).toBe(1);
      cache.set('key 0', 'small again', 10);
      expect(cache.bytes).toBe(10);
    });

    test('a peek is no use, and a replacement none either', () => {
      const caches = [map(makePolicy), map(makePolicy)];
      for (const [i, cache] of caches.entries()) {
        for (let n = 0; n < 200; n++) {
          cache.set(`key ${n % 37}`, 'value', 50);
          if (i === 1) cache.peek(`key ${n % 11}`);
          if (i === 1 && cache.peek(`key ${n % 7}`) !== undefined)
            cache.set(`key ${n % 7}`, 'value', 50);
        }
      }
      expect([...(caches[0]?.keys() ?? [])]).toEqual([...(caches[1]?.keys() ?? [])]);
    });
  });
}
