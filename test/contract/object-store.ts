import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Body } from '#core/cache/body.ts';
import type { HeldObject } from '#core/cache/object.ts';
import type { PurgeMark, Store } from '#core/cache/store.ts';
import { contentOf } from '#test/disk/content.ts';
import { RECEIVED_AT, response } from '#test/policy/facts.ts';

const BUDGET_BYTES = 1_000_000;

export const object = (change: Partial<HeldObject> = {}): HeldObject => ({
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

export const purge = (change: Partial<PurgeMark> = {}): PurgeMark => ({
  sequence: 9,
  mode: 'hard',
  at: RECEIVED_AT,
  ...change,
});

const keys = (count: number): string[] => Array.from({ length: count }, (_, i) => `key ${i}`);

/** Large enough to be kept apart from the small ones, and no multiple of anything. */
const LARGE = Buffer.from(Array.from({ length: 150_001 }, (_, i) => (i * 7 + (i >> 8)) % 251));

/** A store, and how to let go of it. */
export interface Created {
  readonly store: Store;
  readonly close?: () => Promise<void>;
}

/** What every implementation of `Store` promises. */
export function objectStoreContract(
  name: string,
  create: (budgetBytes: number) => Created | Promise<Created>,
): void {
  describe(`object store: ${name}`, () => {
    let created: Created;
    let store: Store;
    beforeEach(async () => {
      created = await create(BUDGET_BYTES);
      store = created.store;
    });
    afterEach(() => created.close?.());
    const held = (names: readonly string[]): string[] =>
      names.filter((key) => store.lookup(key).length > 0);
    const selectors = (): string[] => store.lookup(object().key).map(({ selector }) => selector);
    const written = async (content: readonly Buffer[], head = object()): Promise<boolean> => {
      const writer = store.reserve(head, Buffer.concat(content).length);
      if (writer === undefined) return false;
      for (const chunk of content) await writer.write(chunk);
      return writer.commit(head);
    };

    test('finds what was put', async () => {
      expect(await store.put(object())).toBe(true);
      expect(store.lookup(object().key)).toEqual([object()]);
      expect(store.lookup('another key')).toEqual([]);
    });

    test('finds under a key of any length and any characters', async () => {
      for (const key of ['', 'é\n \u{1f600}', 'k'.repeat(10_000), `${'k'.repeat(10_000)}2`]) {
        expect(await store.put(object({ key, fields: ['X', key] }))).toBe(true);
        expect(store.lookup(key)[0]).toMatchObject({ key, fields: ['X', key] });
      }
    });

    test.for([
      ['empty', []],
      ['small', [Buffer.from('a'), Buffer.from('bc')]],
      ['large', [LARGE]],
      ['large, in pieces', [LARGE.subarray(0, 70_000), LARGE.subarray(70_000)]],
    ] as const)('keeps a body that is %s', async ([, content]) => {
      const whole = Buffer.concat(content);
      expect(await written(content)).toBe(true);
      const [found] = store.lookup(object().key);
      expect(found?.body.size).toBe(whole.length);
      expect((await contentOf(found?.body ?? Body.empty)).equals(whole)).toBe(true);
      expect(await store.put(object({ key: 'again', body: new Body(content) }))).toBe(true);
      const [again] = store.lookup('again');
      expect((await contentOf(again?.body ?? Body.empty)).equals(whole)).toBe(true);
    });

    test('reads any part of a body', async () => {
      await written([LARGE]);
      const body = store.lookup(object().key)[0]?.body ?? Body.empty;
      for (const [start, end] of [
        [0, 0],
        [65_535, 65_536],
        [65_536, 131_071],
        [100_000, 150_000],
        [150_000, 150_000],
      ] as const) {
        const part = await contentOf(body, start, end);
        expect(part.equals(LARGE.subarray(start, end + 1))).toBe(true);
      }
    });

    test('shows nothing of what is not committed', async () => {
      const writer = store.reserve(object(), LARGE.length);
      await writer?.write(LARGE);
      expect(held([object().key])).toEqual([]);
      writer?.abandon();
      expect(await writer?.commit(object())).toBe(false);
      expect(held([object().key])).toEqual([]);
      expect(store.volume()).toEqual({ objects: 0, bytes: 0 });
    });

    test.for(['small', 'large'] as const)(
      'stores no %s object whose key was purged or deleted while it was written',
      async (size) => {
        const content = size === 'small' ? Buffer.from('x') : LARGE;
        const outdated = [
          (key: string) => store.purge(key, purge()),
          (key: string) => store.purge(key, purge({ mode: 'soft' })),
          (key: string) => store.delete(key),
        ];
        for (const [i, drop] of outdated.entries()) {
          const head = object({ key: `key ${i}` });
          const writer = store.reserve(head, content.length);
          await writer?.write(content);
          drop(head.key);
          expect(await writer?.commit(head)).toBe(false);
          expect(held([head.key])).toEqual([]);
          expect(await written([content], head)).toBe(true);
        }
      },
    );

    test('keeps the body where only the rest of an object is renewed', async () => {
      await written([LARGE]);
      const [found] = store.lookup(object().key);
      if (found === undefined) throw new Error('It is not there');
      expect(await store.put({ ...found, asOf: 8, fields: ['X', 'new'] })).toBe(true);
      const [renewed] = store.lookup(object().key);
      expect(renewed).toMatchObject({ asOf: 8, fields: ['X', 'new'] });
      expect((await contentOf(renewed?.body ?? Body.empty)).equals(LARGE)).toBe(true);
    });

    test('keeps variants side by side, the latest first', async () => {
      await store.put(object({ selector: 'no' }));
      await store.put(object({ selector: 'it' }));
      expect(selectors()).toEqual(['it', 'no']);
    });

    test('replaces the variant of the same selector', async () => {
      await store.put(object({ asOf: 1 }));
      await store.put(object({ asOf: 2 }));
      expect(store.lookup(object().key).map(({ asOf }) => asOf)).toEqual([2]);
      expect(store.volume().objects).toBe(1);
    });

    test('bounds the variants of one key', async () => {
      for (let i = 0; i < 100; i++) await store.put(object({ selector: `v${i}` }));
      const variants = store.lookup(object().key);
      expect(variants.length).toBeLessThan(100);
      expect(variants[0]?.selector).toBe('v99');
    });

    test('bounds the variants of one key as it is told', async () => {
      for (let i = 0; i < 5; i++) await store.put(object({ selector: `v${i}` }), 3);
      expect(selectors()).toEqual(['v4', 'v3', 'v2']);
    });

    test('deletes the variants under a key whose selector begins so', async () => {
      for (const selector of ['a\nx', 'a\ny', 'b\nx']) await store.put(object({ selector }));
      expect(store.delete(object().key, 'a\n')).toMatchObject({ objects: 2 });
      await store.settled();
      expect(selectors()).toEqual(['b\nx']);
      expect(store.delete(object().key, 'c\n')).toEqual({ objects: 0, bytes: 0 });
    });

    test('stays within its budget, and lets go of what is not used', async () => {
      const names = keys(20);
      for (const key of names) {
        await store.put(object({ key, body: new Body([Buffer.alloc(100_000)]) }));
        store.lookup('key 0');
        expect(store.volume().bytes).toBeLessThanOrEqual(BUDGET_BYTES);
      }
      expect(held(['key 0', 'key 1', 'key 19'])).toEqual(['key 0', 'key 19']);
    });

    test('refuses what is larger than it is', async () => {
      const large = object({ body: new Body([Buffer.alloc(BUDGET_BYTES)]) });
      await store.put(object({ key: 'small' }));
      expect(await store.put(large)).toBe(false);
      expect(held([large.key, 'small'])).toEqual(['small']);
    });

    test('stores nothing of what turns out to be larger than it is', async () => {
      await store.put(object({ key: 'small' }));
      const writer = store.reserve(object());
      for (let i = 0; i < 20; i++) await writer?.write(LARGE);
      expect((await writer?.commit(object())) ?? false).toBe(false);
      expect(held([object().key, 'small'])).toEqual(['small']);
      expect(store.volume().objects).toBe(1);
      for (const stats of store.stats().slice(-1)) expect(stats.refused).toBe(1);
    });

    test('deletes every variant under a key, and tells what it deleted', async () => {
      await store.put(object({ selector: 'no' }));
      await store.put(object({ selector: 'it' }));
      expect(store.delete(object().key)).toMatchObject({ objects: 2 });
      expect(store.lookup(object().key)).toEqual([]);
      await store.settled();
      expect(store.volume()).toEqual({ objects: 0, bytes: 0 });
    });

    test('drops one variant and leaves the others', async () => {
      await store.put(object({ selector: 'no' }));
      await store.put(object({ selector: 'it' }));
      store.drop(object({ selector: 'no' }));
      await store.settled();
      expect(selectors()).toEqual(['it']);
      expect(store.volume().objects).toBe(1);
    });

    test('a hard purge concerns what is older than it', async () => {
      await store.put(object({ selector: 'old', asOf: 8 }));
      await store.put(object({ selector: 'new', asOf: 9 }));
      expect(store.purge(object().key, purge())).toMatchObject({ objects: 1 });
      await store.settled();
      expect(selectors()).toEqual(['new']);
    });

    test('a soft purge marks what is older than it', async () => {
      await store.put(object({ asOf: 8 }));
      const mark = purge({ mode: 'soft' });
      expect(store.purge(object().key, mark)).toMatchObject({ objects: 1 });
      await store.settled();
      expect(store.lookup(object().key)[0]?.softPurgedAt).toBe(mark.at);
    });

    test('a purge of what is not there hits nothing', () => {
      expect(store.purge('another key', purge())).toEqual({ objects: 0, bytes: 0 });
    });

    test('finds nothing any more of what it was told to drop, at once and later', async () => {
      const names = keys(10);
      for (const key of names) await store.put(object({ key }));
      for (const [i, key] of names.entries()) {
        if (i % 2 === 0) store.delete(key);
        else store.purge(key, purge());
        expect(store.lookup(key)).toEqual([]);
      }
      await store.settled();
      expect(held(names)).toEqual([]);
      expect(await store.put(object({ key: 'key 0' }))).toBe(true);
      expect(held(names)).toEqual(['key 0']);
    });

    test('sweeps what it is told to', async () => {
      const names = keys(2500);
      const puts = names.map(async (key, i) =>
        store.put(object({ key, asOf: i % 2, body: Body.empty, fields: [] })),
      );
      await Promise.all(puts);
      const spared = held(names).filter((key) => store.lookup(key)[0]?.asOf === 1);
      await store.sweep(({ asOf }) => asOf === 0);
      expect(spared.length).toBeGreaterThan(0);
      expect(store.volume().objects).toBeLessThanOrEqual(spared.length);
      expect(held(names).every((key) => store.lookup(key)[0]?.asOf === 1)).toBe(true);
    });

    test('peeks at what it would find, which counts as no use', async () => {
      await store.put(object({ selector: 'a' }));
      await store.put(object({ selector: 'b', body: new Body([LARGE]) }));
      await store.settled();
      const before = store.stats();
      const peeked = store.peek(object().key);
      expect(store.peek('another key')).toEqual([]);
      expect(store.stats()).toEqual(before);
      const found = store.lookup(object().key);
      expect(peeked.map(({ selector, asOf }) => [selector, asOf])).toEqual(
        found.map(({ selector, asOf }) => [selector, asOf]),
      );
      store.purge(object().key, purge());
      expect(store.peek(object().key)).toEqual([]);
    });

    test('goes over what is stored until that is enough', async () => {
      await Promise.all(keys(20).map(async (key) => store.put(object({ key }))));
      await store.settled();
      let seen = 0;
      await store.scan(() => void seen++);
      expect(seen).toBe(20);
      await store.scan(() => ++seen < 23);
      expect(seen).toBe(23);
    });

    test('counts by site', async () => {
      await store.put(object({ key: 'a', site: 'one' }));
      await store.put(object({ key: 'b', site: 'one' }));
      await store.put(object({ key: 'c', site: 'other' }));
      expect(store.volume('one').objects).toBe(2);
      store.delete('a');
      await store.settled();
      expect(store.volume('one').objects).toBe(1);
      expect(store.volume('other').objects).toBe(1);
      expect(store.volume().objects).toBe(2);
    });

    test('tells what it has done', async () => {
      await store.put(object({ selector: 'a' }));
      await store.put(object({ selector: 'a' }));
      await store.put(object({ selector: 'b' }), 1);
      store.lookup(object().key);
      store.lookup('another key');
      await store.settled();
      store.purge(object().key, purge());
      await store.settled();
      for (const stats of store.stats()) {
        expect(stats).toMatchObject({
          objects: 0,
          bytes: 0,
          stored: 3,
          storedBytes: 12,
          refused: 0,
        });
        expect(stats.evicted).toMatchObject({ replaced: 1, variants: 1, purged: 1, capacity: 0 });
      }
      const [first, ...others] = store.stats();
      expect(first).toMatchObject({ lookups: 2, hits: 1, hitBytes: 4 });
      for (const other of others) expect(other.lookups).toBeLessThanOrEqual(2);
    });
  });
}
