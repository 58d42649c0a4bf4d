import { expect, onTestFinished, test } from 'vitest';
import { Journal } from '#control-plane/journal/journal.ts';
import { openSqliteState } from '#control-plane/state/sqlite.ts';
import type { JournalEntry } from '#core/contract/event.ts';
import { FakeClock } from '#test/scenario/kit/clock.ts';
import { temporaryDir } from './kit.ts';

const purge: JournalEntry = {
  type: 'purge',
  purge: { id: 'p', mode: 'hard', target: { kind: 'site', site: 'one' } },
};

async function open(keptEvents?: number) {
  const store = openSqliteState(await temporaryDir());
  onTestFinished(() => store.close());
  return { store, journal: await Journal.open(store, new FakeClock(), keptEvents) };
}

test('Journal runs changes one after another, each on the configuration that the last one left', async () => {
  const { journal } = await open();
  const seen: number[] = [];
  const change = () =>
    journal.change(({ sequence }) => {
      seen.push(sequence);
      return { entries: [purge, purge] };
    });
  const written = await Promise.all([change(), change(), change()]);
  expect(seen).toEqual([1, 3, 5]);
  expect(written.flat().map(({ sequence }) => sequence)).toEqual([2, 3, 4, 5, 6, 7]);
});

test('Journal goes on after a plan that threw', async () => {
  const { journal } = await open();
  const failed = journal.change(() => {
    throw new Error('no');
  });
  await expect(failed).rejects.toThrow('no');
  expect(await journal.change(() => ({ entries: [purge] }))).toHaveLength(1);
});

test('Journal refuses nothing by a configuration that another control plane has changed', async () => {
  const { journal, store } = await open();
  const other = await Journal.open(store, new FakeClock());
  await other.change(() => ({ entries: [purge] }));
  const seen: number[] = [];
  const change = (least: number) =>
    journal.change(({ sequence }) => {
      seen.push(sequence);
      if (sequence < least) throw new Error('not known here');
      return { entries: [purge] };
    });
  expect(await change(2)).toMatchObject([{ sequence: 3 }]);
  await expect(change(9)).rejects.toThrow('not known here');
  expect(seen).toEqual([1, 2, 3]);
});

test('Journal keeps so many events, and reads them from memory and store alike', async () => {
  const { journal, store } = await open(1_200);
  await journal.change(() => ({ entries: Array.from({ length: 1_999 }, () => purge) }));
  expect(journal.config.sequence).toBe(2_000);
  expect(await journal.events(799, 10)).toBeUndefined();
  for (const after of [800, 995, 999, 1_000, 1_500, 1_995, 2_000]) {
    expect(await journal.events(after, 10)).toEqual(await store.events(after, 10));
  }
  expect((await journal.events(800, 10))?.[0]?.sequence).toBe(801);
});

test('Journal is found again as it was', async () => {
  const { journal, store } = await open();
  await journal.change(() => ({ entries: [purge] }));
  const again = await Journal.open(store, new FakeClock());
  expect(again.config).toEqual(journal.config);
});
