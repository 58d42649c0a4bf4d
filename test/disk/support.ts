import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect } from 'vitest';
import { fileBytes } from '#core/cache/disk/blocks.ts';
import { DiskStore } from '#core/cache/disk/disk-store.ts';
import { Files } from '#core/cache/disk/files.ts';
import { IndexDb, queueOf } from '#core/cache/disk/index-db.ts';
import { Keeper, type KeeperOptions } from '#core/cache/disk/keeper.ts';
import { costOf, Ledger, NO_TOTALS } from '#core/cache/disk/ledger.ts';
import { keyHash } from '#core/cache/disk/record.ts';
import { stillClock } from './still-clock.ts';

export interface OpenDisk {
  readonly dir: string;
  readonly keeper: Keeper;
  readonly store: DiskStore;
  readonly clock: ReturnType<typeof stillClock>;
  readonly warnings: string[];
  /** Closes the store and leaves the directory. */
  readonly stop: () => Promise<void>;
  /** Closes the store and removes the directory. */
  readonly close: () => Promise<void>;
}

/** A disk store with its keeper in this thread, in a directory of its own unless one is given. */
export async function openDisk(options: Partial<KeeperOptions> = {}): Promise<OpenDisk> {
  const dir = options.dir ?? (await mkdtemp(join(tmpdir(), 'canopy-disk-')));
  const clock = stillClock();
  const warnings: string[] = [];
  const log = { warn: (message: string) => void warnings.push(message) };
  const keeper = await Keeper.open({ budgetBytes: 100_000_000, clock, log, ...options, dir });
  const { place, port } = keeper.connect(1);
  const store = new DiskStore(place, port);
  const stop = async (): Promise<void> => {
    await store.close();
    await keeper.close();
  };
  const close = async (): Promise<void> => {
    await stop();
    await rm(dir, { recursive: true, force: true });
  };
  return { dir, keeper, store, clock, warnings, stop, close };
}

/** An index in a directory of its own. */
export async function newIndex(): Promise<{
  readonly index: IndexDb;
  readonly remove: () => Promise<void>;
}> {
  const dir = await mkdtemp(join(tmpdir(), 'canopy-index-'));
  const index = new IndexDb(dir, 1e9);
  const remove = async (): Promise<void> => {
    await index.close();
    await rm(dir, { recursive: true });
  };
  return { index, remove };
}

/** Files and their bytes below `dir`. */
export async function filesBelow(dir: string): Promise<Map<string, number>> {
  const names = await readdir(dir, { recursive: true }).catch(() => []);
  const found = new Map<string, number>();
  for (const name of names) {
    const stats = await stat(join(dir, name)).catch(() => undefined);
    if (stats?.isFile() === true) found.set(name, stats.size);
  }
  return found;
}

/** Counts anew what the closed store in `dir` holds, and compares it with what it has counted. */
export async function recount(dir: string): Promise<void> {
  const index = new IndexDb(dir, 2_000_000_000);
  try {
    const ledger = new Ledger(NO_TOTALS);
    const files = new Map<string, number>();
    const paths = new Files('');
    for (const id of index.after(-1, 1_000_000)) {
      const entry = index.at(id);
      if (entry === undefined) throw new Error(`Record ${id} is damaged`);
      const { record } = entry;
      expect(index.find(keyHash(record.key))?.id).toBe(id);
      const cost = costOf(record, entry.bytes);
      ledger.enter(1, record.site, queueOf(id), cost);
      for (const { at } of record.variants) {
        if (at.file === undefined) continue;
        files.set(paths.pathOf(at.file), fileBytes(at.size));
        expect(index.hashOfFile(at.file)).toBe(keyHash(record.key));
      }
    }
    expect(index.totals).toEqual(ledger.totals);
    for (const [site, volume] of ledger.sites) expect(index.volume(site)).toEqual(volume);
    expect(index.filesBetween(0, Number.MAX_SAFE_INTEGER).size).toBe(files.size);
    expect(await filesBelow(join(dir, 'files'))).toEqual(files);
  } finally {
    await index.close();
  }
}

/** Lets other work of this thread happen until `is` holds. */
export async function turnsUntil(is: () => boolean): Promise<void> {
  while (!is()) await nextTurn();
}
