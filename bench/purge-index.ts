import { Fence } from '#core/cache/fence.ts';
import { FillTable } from '#core/cache/fill.ts';
import { HitForMiss } from '#core/cache/hit-for-miss.ts';
import { MemoryStore } from '#core/cache/memory.ts';
import { Purger } from '#core/cache/purger.ts';
import { Sweeper } from '#core/cache/sweeper.ts';
import { systemClock } from '#core/clock.ts';
import { type Benchmark, median, type Result, usedBytes } from './benchmark.ts';
import { benchKey, benchObject } from './disk-objects.ts';

const TAGGED = [10, 10_000, 1_000_000];
const ROUNDS = 101;
const DISTINCT = [10_000, 100_000, 1_000_000];
const BODY_BYTES = 64;

const tagPurge = (tag: string) => ({
  mode: 'hard' as const,
  target: { kind: 'tags' as const, site: 'site', tags: [tag] },
});

/** A purge of one tag of `count` objects, and the first look at one of them after it; µs. */
function purgeTagged(count: number): readonly [purgeUs: number, lookUs: number] {
  const clock = systemClock;
  const store = new MemoryStore(16e9);
  for (let i = 0; i < count; i++) {
    const object = benchObject(i, BODY_BYTES);
    store.put({ ...object, facts: { ...object.facts, tags: ['news'] } });
  }
  const fence = new Fence();
  const fills = new FillTable();
  const sweeper = new Sweeper({ clock, store, fence, fills });
  const purger = new Purger({ store, fence, fills, hitForMiss: new HitForMiss(clock), sweeper });
  const times = Array.from({ length: ROUNDS }, (_, round) => {
    const before = performance.now();
    purger.purge(tagPurge('news'), undefined, 2 + round, 0);
    const between = performance.now();
    const [object] = store.lookup(benchKey(0));
    if (object !== undefined) fence.verdict(object);
    return [between - before, performance.now() - between] as const;
  });
  const [purges, looks] = [times.map(([ms]) => ms), times.map(([, ms]) => ms)];
  return [median(purges) * 1000, median(looks) * 1000];
}

/** The way that grows: an index of keys by tag, and each key dropped. */
function dropTagged(count: number): number {
  const stored = new Map(Array.from({ length: count }, (_, i) => [benchKey(i), i]));
  const keys = new Set(stored.keys());
  const before = performance.now();
  for (const key of keys) stored.delete(key);
  return (performance.now() - before) * 1000;
}

export const purgeIndex: Benchmark = {
  name: 'purge-index',
  about:
    'One thread: a hard purge of a tag, with the beginning of its background sweep, and the first ' +
    'lookup after it, over as many objects that carry one tag; against an index of keys by tag whose ' +
    'keys are dropped. And the memory that epochs take after many purges of different tags.',
  run({ scale }) {
    const times = TAGGED.map((full) => {
      const count = Math.ceil(full * scale);
      const [purgeUs, lookUs] = purgeTagged(count);
      const dropUs = dropTagged(count);
      return [String(count), ...[purgeUs, lookUs, dropUs].map((us) => us.toFixed(1))];
    });
    const before = usedBytes();
    const fence = new Fence();
    let sequence = 0;
    const memory = DISTINCT.map((full) => {
      const count = Math.ceil(full * scale);
      while (sequence < count) {
        sequence++;
        const scope = { kind: 'tag' as const, site: 'site', name: `article-${sequence}` };
        fence.raise(scope, { sequence, mode: 'hard', at: 0 });
      }
      const bytes = usedBytes() - before;
      return [String(count), String(fence.epochs.length), (bytes / 1e6).toFixed(1)];
    });
    const tables: Result[] = [
      {
        title: 'Purge of one tag',
        columns: ['objects', 'purge, µs', 'first lookup, µs', 'dropping each, µs'],
        rows: times,
      },
      {
        title: 'Memory of the purge index',
        columns: ['different tags purged', 'epochs held', 'MB'],
        rows: memory,
      },
    ];
    return tables;
  },
};
