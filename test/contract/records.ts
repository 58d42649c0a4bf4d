import { describe, expect, test } from 'vitest';
import type { Page } from '#control-plane/state/records.ts';
import type { StateStore } from '#control-plane/state/store.ts';
import type { JournalEvent } from '#core/contract/event.ts';

const draft = (id: string, value: unknown = { id }) => ({ kind: 'audit' as const, id, value });
const begin: JournalEvent = {
  sequence: 1,
  at: 0,
  type: 'network.put',
  network: { tierKey: 'tier-key-of-the-network' },
};

/** What the `records` of every StateStore keep. @param state that of this test, as it is open at present */
export function recordsContract(state: () => StateStore, reopen: () => Promise<void>): void {
  const ids = async (page: Partial<Page> = {}): Promise<string[]> =>
    (await state().records.list('audit', { limit: 10, ...page })).map(({ id }) => id);

  describe('records', () => {
    test('are kept as they were put, also when opened again', async () => {
      const value = { text: 'naïve "quoted" \u2028', list: [1, null, { deep: true }] };
      expect(await state().records.put(draft('one', value))).toBe(1);
      await reopen();
      const record = { ...draft('one', value), revision: 1 };
      expect(await state().records.get({ kind: 'audit', id: 'one' })).toEqual(record);
      expect(await state().records.get({ kind: 'release', id: 'one' })).toBeUndefined();
    });

    test('are changed only from the revision that whoever changes them has seen', async () => {
      const { records } = state();
      expect(await records.put(draft('one'), 1)).toBeUndefined();
      expect(await records.put(draft('one', 'first'), 0)).toBe(1);
      expect(await records.put(draft('one', 'again'), 0)).toBeUndefined();
      const both = [records.put(draft('one', 'a'), 1), records.put(draft('one', 'b'), 1)];
      expect(await Promise.all(both)).toEqual(expect.arrayContaining([2, undefined]));
      expect(await records.put(draft('one', 'whatever there is'))).toBe(3);
      expect(await records.get(draft('one'))).toMatchObject({ value: 'whatever there is' });
      expect(await records.delete(draft('one'))).toBe(true);
      expect(await records.delete(draft('one'))).toBe(false);
      expect(await records.put(draft('one'), 0)).toBe(1);
    });

    test('are listed in the order of the bytes of their ids, a page at a time', async () => {
      const { records } = state();
      for (const id of ['b', 'a b', 'é', 'a', 'B', 'a!']) await records.put(draft(id));
      await records.put({ kind: 'push', id: 'other', value: 1 });
      expect(await ids()).toEqual(['B', 'a', 'a b', 'a!', 'b', 'é']);
      expect(await ids({ limit: 2, after: 'a' })).toEqual(['a b', 'a!']);
      expect(await ids({ limit: 2, descending: true })).toEqual(['é', 'b']);
      expect(await ids({ limit: 2, descending: true, after: 'b' })).toEqual(['a!', 'a b']);
      expect(await ids({ after: 'none of them' })).toEqual(['é']);
    });

    test('are trimmed to the last of their kind', async () => {
      const { records } = state();
      for (const id of ['1', '2', '3', '4']) await records.put(draft(id));
      await records.put({ kind: 'push', id: '0', value: 1 });
      await records.trim('audit', 4);
      expect(await ids()).toEqual(['1', '2', '3', '4']);
      await records.trim('audit', 1);
      expect(await ids()).toEqual(['4']);
      expect(await records.get({ kind: 'push', id: '0' })).toBeDefined();
      expect(await records.put(draft('1'), 0)).toBe(1);
    });

    test('are written with the events of the journal, or not at all', async () => {
      await state().records.put(draft('one', 'before'));
      expect(await state().append([begin], { records: [draft('one'), draft('two')] })).toBe(true);
      expect(await state().append([begin], { records: [draft('three')] })).toBe(false);
      expect(await ids()).toEqual(['one', 'two']);
      const one = await state().records.get(draft('one'));
      expect(one).toEqual({ ...draft('one'), revision: 2 });
    });
  });
}
