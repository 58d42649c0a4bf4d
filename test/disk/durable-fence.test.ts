import { afterEach, beforeEach, expect, test } from 'vitest';
import { DurableEpochs, storedEpochs } from '#core/cache/disk/durable-fence.ts';
import { convertIndex } from '#core/cache/disk/format.ts';
import type { IndexDb } from '#core/cache/disk/index-db.ts';
import { Fence } from '#core/cache/fence.ts';
import type { Scope } from '#core/cache/scopes.ts';
import type { PurgeMark } from '#core/cache/store.ts';
import { Sweeper } from '#core/cache/sweeper.ts';
import { object } from '#test/contract/object-store.ts';
import { newIndex, openDisk } from './support.ts';

let index: IndexDb;
let remove: () => Promise<void>;
beforeEach(async () => void ({ index, remove } = await newIndex()));
afterEach(() => remove());

const site = { kind: 'site', site: 'site' } as const;
const tag = (name: string): Scope => ({ kind: 'tag', site: 'site', name });
const prefix = (name: string): Scope => ({ kind: 'prefix', site: 'site', name });
const hard = (sequence: number): PurgeMark => ({ sequence, mode: 'hard', at: sequence * 1000 });
const epoch = (sequence: number) => ({ hard: sequence, soft: 0, softAt: 0 });

const raised = (epochs: DurableEpochs, ...purges: readonly (readonly [Scope, number])[]): void => {
  index.transact(() => {
    for (const [scope, sequence] of purges) epochs.raise(scope, hard(sequence));
  });
};

test('every scope of a fence is kept, one for each, whatever its name', () => {
  const scopes: Scope[] = [
    { kind: 'everything' },
    site,
    tag('a'),
    prefix('a'),
    { kind: 'tag', site: 'other', name: 'a' },
    prefix('h/'.repeat(8_000)),
    prefix(''),
  ];
  raised(new DurableEpochs(index), ...scopes.map((scope, i) => [scope, i + 1] as const));
  raised(new DurableEpochs(index), [tag('a'), 9]);
  const kept = storedEpochs(index);
  expect(new Set(kept.map((one) => one.scope))).toEqual(new Set(scopes));
  expect(kept).toHaveLength(scopes.length);
  expect(kept.at(-1)).toEqual({ scope: tag('a'), epoch: epoch(9) });
});

test('of too many the longest unchanged counts for its site, also when opened again', () => {
  raised(new DurableEpochs(index, 3), [tag('a'), 10], [tag('b'), 11], [tag('c'), 12]);
  raised(new DurableEpochs(index, 3), [tag('a'), 13], [prefix('d'), 14]);
  const kept = storedEpochs(index);
  expect(kept).toEqual([
    { scope: site, epoch: epoch(11) },
    { scope: tag('c'), epoch: epoch(12) },
    { scope: tag('a'), epoch: epoch(13) },
    { scope: prefix('d'), epoch: epoch(14) },
  ]);
  const fence = new Fence(3);
  fence.restore({ sequence: 14, epochs: kept });
  expect(fence.epochs).toHaveLength(kept.length);
});

test('what a failed transaction has raised is not there, and is raised when it is tried again', () => {
  const epochs = new DurableEpochs(index, 1);
  raised(epochs, [tag('a'), 1]);
  expect(() =>
    index.transact(() => {
      epochs.raise(tag('b'), hard(2));
      throw new Error('The disk is full');
    }),
  ).toThrow('The disk is full');
  epochs.undone();
  expect(storedEpochs(index)).toEqual([{ scope: tag('a'), epoch: epoch(1) }]);
  raised(epochs, [tag('b'), 2]);
  expect(storedEpochs(index)).toEqual([
    { scope: site, epoch: epoch(1) },
    { scope: tag('b'), epoch: epoch(2) },
  ]);
});

test('epochs of format 1 are brought forward', () => {
  index.set('format', 1);
  index.set('epoch everything', { scope: { kind: 'everything' }, hard: 0, soft: 6, softAt: 3 });
  index.set('epoch site site', { scope: site, ...epoch(8) });
  expect(convertIndex(index)).toBe(true);
  raised(new DurableEpochs(index), [site, 9]);
  expect(storedEpochs(index)).toEqual([
    { scope: { kind: 'everything' }, epoch: { hard: 0, soft: 6, softAt: 3 } },
    { scope: site, epoch: epoch(9) },
  ]);
});

test('an epoch that concerns nothing on disk any more is forgotten there, also over a restart', async () => {
  const before = await openDisk();
  const { store, clock, dir } = before;
  const tagged = (key: string, name: string, asOf: number) => {
    const one = object({ key, asOf });
    return store.put({ ...one, facts: { ...one.facts, tags: [name] } });
  };
  await tagged('purged', 'a', 1);
  await tagged('stale', 'b', 1);
  await tagged('later', 'c', 9);
  const fence = new Fence();
  const marks: [Scope, PurgeMark][] = [
    [tag('a'), hard(3)],
    [tag('b'), { sequence: 4, mode: 'soft', at: 4000 }],
    [tag('c'), hard(5)],
  ];
  for (const [scope, mark] of marks) {
    fence.raise(scope, mark);
    store.raise(scope, mark);
  }
  const onForget = store.forget.bind(store);
  const sweeper = new Sweeper({ clock, store, fence, fills: { oldestAsOf: Infinity }, onForget });
  const kept = (): string[] =>
    store.epochs.map((one) => ('name' in one.scope ? one.scope.name : ''));
  // Not all threads may have heeded them.
  await sweeper.sweep();
  await store.settled();
  expect(kept()).toEqual(['a', 'b', 'c']);
  await store.advance(5);
  await sweeper.sweep();
  await store.settled();
  expect(kept()).toEqual(['b']);
  // Raised again before the sweep's word comes.
  const [b] = fence.epochs;
  store.raise(tag('b'), hard(6));
  if (b !== undefined) store.forget(b);
  await store.settled();
  expect(kept()).toEqual(['b']);
  await before.stop();
  const after = await openDisk({ dir });
  expect(after.keeper.fence.epochs.map((one) => one.scope)).toEqual([tag('b')]);
  await after.close();
});
