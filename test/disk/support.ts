import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DiskStore } from '#core/cache/disk/disk-store.ts';
import { Keeper, type KeeperOptions } from '#core/cache/disk/keeper.ts';
import type { Clock } from '#core/clock.ts';
import { RECEIVED_AT } from '#test/policy/facts.ts';

/** Time that stands still unless it is moved, so that upkeep happens when it is called. */
export function stillClock(): Clock & { advance(ms: number): void } {
  let now = RECEIVED_AT;
  let timers: { at: number; callback: () => void }[] = [];
  return {
    now: () => now,
    monotonicMs: () => now,
    after(delayMs, callback) {
      const timer = { at: now + delayMs, callback };
      timers.push(timer);
      return () => {
        timers = timers.filter((other) => other !== timer);
      };
    },
    advance(ms) {
      now += ms;
      const due = timers.filter(({ at }) => at <= now);
      timers = timers.filter(({ at }) => at > now);
      for (const { callback } of due) callback();
    },
  };
}

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
