import { beforeEach, describe, expect, test } from 'vitest';
import { Body } from '#core/cache/body.ts';
import type { StoredObject } from '#core/cache/object.ts';
import type { ObjectStore, PurgeMark } from '#core/cache/store.ts';
import { RECEIVED_AT, response } from '#test/policy/facts.ts';

const BUDGET_BYTES = 1_000_000;

const object = (change: Partial<StoredObject> = {}): StoredObject => ({
  key: 'site http://example.org/a',
  site: 'site',
  selector: '',
  fields: ['ETag', '"1"'],
  facts: response({ ETag: '"1"' }),
  body: new Body([Buffer.from('body')]),
  initialAgeMs: 0,
  receivedAt: RECEIVED_AT,
  asOf: 5,
  softPurgedAt: undefined,
  ...change,
});

const purge = (change: Partial<PurgeMark> = {}): PurgeMark => ({
  sequence: 9,
  mode: 'hard',
  at: RECEIVED_AT,
  ...change,
});

const keys = (count: number): string[] => Array.from({ length: count }, (_, i) => `key ${i}`);

/** What every implementation of `ObjectStore` promises. */
export function objectStoreContract(
  name: string,
  create: (budgetBytes: number) => ObjectStore,
): void {
  describe(`object store: ${name}`, () => {
    let store: ObjectStore;
    beforeEach(() => {
      store = create(BUDGET_BYTES);
    });
    const held = (names: readonly string[]): string[] =>
      names.filter((key) => store.lookup(key).length > 0);

    test('finds what was put', () => {
      expect(store.put(object())).toBe(true);
      expect(store.lookup(object().key)).toEqual([object()]);
      expect(store.lookup('another key')).toEqual([]);
    });

    test('keeps variants side by side, the latest first', () => {
      store.put(object({ selector: 'no' }));
      store.put(object({ selector: 'it' }));
      expect(store.lookup(object().key).map(({ selector }) => selector)).toEqual(['it', 'no']);
    });

    test('replaces the variant of the same selector', () => {
      store.put(object({ asOf: 1 }));
      store.put(object({ asOf: 2 }));
      expect(store.lookup(object().key).map(({ asOf }) => asOf)).toEqual([2]);
      expect(store.volume().objects).toBe(1);
    });

    test('bounds the variants of one key', () => {
      for (let i = 0; i < 100; i++) store.put(object({ selector: `v${i}` }));
      const variants = store.lookup(object().key);
      expect(variants.length).toBeLessThan(100);
      expect(variants[0]?.selector).toBe('v99');
    });

    test('bounds the variants of one key as it is told', () => {
      for (let i = 0; i < 5; i++) store.put(object({ selector: `v${i}` }), 3);
      const kept = store.lookup(object().key).map(({ selector }) => selector);
      expect(kept).toEqual(['v4', 'v3', 'v2']);
    });

    test('deletes the variants under a key whose selector begins so', () => {
      for (const selector of ['a\nx', 'a\ny', 'b\nx']) store.put(object({ selector }));
      expect(store.delete(object().key, 'a\n')).toMatchObject({ objects: 2 });
      expect(store.lookup(object().key).map(({ selector }) => selector)).toEqual(['b\nx']);
      expect(store.delete(object().key, 'c\n')).toEqual({ objects: 0, bytes: 0 });
    });

    test('stays within its budget, and keeps what is used', () => {
      const names = keys(20);
      for (const key of names) {
        store.put(object({ key, body: new Body([Buffer.alloc(100_000)]) }));
        store.lookup('key 0');
      }
      expect(store.volume().bytes).toBeLessThanOrEqual(BUDGET_BYTES);
      expect(held(['key 0', 'key 1', 'key 19'])).toEqual(['key 0', 'key 19']);
    });

    test('refuses what is larger than it is', () => {
      const large = object({ body: new Body([Buffer.alloc(BUDGET_BYTES)]) });
      expect(store.put(large)).toBe(false);
      expect(store.lookup(large.key)).toEqual([]);
    });

    test('deletes every variant under a key, and tells what it deleted', () => {
      store.put(object({ selector: 'no' }));
      store.put(object({ selector: 'it' }));
      expect(store.delete(object().key)).toMatchObject({ objects: 2 });
      expect(store.lookup(object().key)).toEqual([]);
      expect(store.volume()).toEqual({ objects: 0, bytes: 0 });
    });

    test('drops one variant and leaves the others', () => {
      store.put(object({ selector: 'no' }));
      store.put(object({ selector: 'it' }));
      store.drop(object({ selector: 'no' }));
      expect(store.lookup(object().key).map(({ selector }) => selector)).toEqual(['it']);
      expect(store.volume().objects).toBe(1);
    });

    test('a hard purge concerns what is older than it', () => {
      store.put(object({ selector: 'old', asOf: 8 }));
      store.put(object({ selector: 'new', asOf: 9 }));
      expect(store.purge(object().key, purge())).toMatchObject({ objects: 1 });
      expect(store.lookup(object().key).map(({ selector }) => selector)).toEqual(['new']);
    });

    test('a soft purge marks what is older than it', () => {
      store.put(object({ asOf: 8 }));
      const mark = purge({ mode: 'soft' });
      expect(store.purge(object().key, mark)).toMatchObject({ objects: 1 });
      expect(store.lookup(object().key)[0]?.softPurgedAt).toBe(mark.at);
    });

    test('a purge of what is not there hits nothing', () => {
      expect(store.purge('another key', purge())).toEqual({ objects: 0, bytes: 0 });
    });

    test('sweeps what it is told to', async () => {
      const names = keys(2500);
      for (const [i, key] of names.entries()) {
        store.put(object({ key, asOf: i % 2, body: Body.empty, fields: [] }));
      }
      const spared = held(names).filter((key) => store.lookup(key)[0]?.asOf === 1);
      await store.sweep(({ asOf }) => asOf === 0);
      expect(store.volume().objects).toBe(spared.length);
      expect(held(names).every((key) => store.lookup(key)[0]?.asOf === 1)).toBe(true);
    });

    test('refuses what would leave no room for others, and keeps those', () => {
      store.put(object({ key: 'small' }));
      const large = object({ body: new Body([Buffer.alloc(BUDGET_BYTES * 0.9)]) });
      expect(store.put(large)).toBe(false);
      expect(held(['small'])).toEqual(['small']);
    });

    test('counts what it has done, and why what left has left', () => {
      const [before] = store.stats();
      store.put(object({ key: 'replaced' }));
      store.put(object({ key: 'replaced' }));
      store.put(object({ key: 'purged' }));
      store.delete('purged');
      store.put(object({ key: 'variants', selector: 'a' }), 1);
      store.put(object({ key: 'variants', selector: 'b' }), 1);
      store.put(object({ body: new Body([Buffer.alloc(BUDGET_BYTES)]) }));
      for (const key of ['replaced', 'purged', 'variants']) store.lookup(key);
      const [stats] = store.stats();
      expect(before).toMatchObject({ objects: 0, bytes: 0, lookups: 0, stored: 0 });
      expect(stats).toMatchObject({
        ...store.volume(),
        objects: 2,
        lookups: 3,
        hits: 2,
        hitBytes: 2 * object().body.size,
        stored: 5,
        refused: 1,
        evicted: { capacity: 0, expired: 0, purged: 1, replaced: 1, variants: 1, damaged: 0 },
      });
      expect(stats?.storedBytes).toBe((stats?.bytes ?? 0) + (stats?.evictedBytes ?? 0));
    });

    test('counts what leaves for want of room', () => {
      for (const key of keys(20))
        store.put(object({ key, body: new Body([Buffer.alloc(100_000)]) }));
      const [stats] = store.stats();
      expect(stats?.evicted.capacity).toBe(20 - store.volume().objects);
    });

    test('counts by site', () => {
      store.put(object({ key: 'a', site: 'one' }));
      store.put(object({ key: 'b', site: 'one' }));
      store.put(object({ key: 'c', site: 'other' }));
      expect(store.volume('one').objects).toBe(2);
      store.delete('a');
      expect(store.volume('one').objects).toBe(1);
      expect(store.volume('other').objects).toBe(1);
      expect(store.volume().objects).toBe(2);
    });

    test('counts what it has done and why objects left', () => {
      store.put(object());
      store.put(object({ asOf: 6 }));
      store.lookup(object().key);
      store.lookup('another key');
      store.put(object({ key: 'b', selector: 'no' }), 1);
      store.put(object({ key: 'b', selector: 'it' }), 1);
      store.put(object({ key: 'huge', body: new Body([Buffer.alloc(BUDGET_BYTES)]) }));
      store.purge('b', purge());
      store.purge('b', purge());
      const [stats] = store.stats();
      expect(stats).toMatchObject({
        ...store.volume(),
        objects: 1,
        budgetBytes: BUDGET_BYTES,
        lookups: 2,
        hits: 1,
        hitBytes: object().body.size,
        stored: 4,
        refused: 1,
        evicted: { capacity: 0, purged: 1, replaced: 1, variants: 1 },
      });
      expect((stats?.storedBytes ?? 0) - (stats?.evictedBytes ?? 0)).toBe(stats?.bytes);
    });
  });
}
