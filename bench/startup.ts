// How long a node waits for its disk store at its start: node bench/startup.ts [SCALE]
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DiskStore } from '#core/cache/disk/disk-store.ts';
import { convertIndex } from '#core/cache/disk/format.ts';
import { IndexDb } from '#core/cache/disk/index-db.ts';
import { Keeper } from '#core/cache/disk/keeper.ts';
import { keyHash } from '#core/cache/disk/record.ts';
import { systemClock } from '#core/clock.ts';
import { benchKey, benchObject } from './disk-objects.ts';

const COUNTS = [10_000, 100_000, 1_000_000];
const BODY_BYTES = 1024;
const BUDGET_BYTES = 100e9;
const ROUNDS = 5;
const BATCH = 10_000;

/** Writes `count` objects straight into an index, as many commits would have. */
async function fill(dir: string, count: number): Promise<void> {
  const index = new IndexDb(dir, BUDGET_BYTES);
  convertIndex(index);
  for (let from = 0; from < count; from += BATCH) {
    index.transact((ledger) => {
      for (let i = from; i < Math.min(from + BATCH, count); i++) {
        const { key, site, body, ...variant } = benchObject(i, BODY_BYTES);
        const at = { size: body.size };
        const variants = [{ ...variant, at }];
        const record = { key, site, expiresAt: Infinity, variants, bodies: [...body.chunks] };
        index.replace(ledger, keyHash(key), undefined, { id: i + 1, record });
      }
    });
  }
  await index.close();
}

/** Opens the store and finds one object in it. @returns how long that took, ms */
async function start(dir: string, count: number): Promise<number> {
  const before = performance.now();
  const log = { warn: (message: string) => console.error(message) };
  const keeper = await Keeper.open({ dir, budgetBytes: BUDGET_BYTES, clock: systemClock, log });
  const { place, port } = keeper.connect(1);
  const store = new DiskStore(place, port);
  const found = store.lookup(benchKey(count >> 1));
  const took = performance.now() - before;
  if (found.length !== 1) throw new Error('It is not there');
  await store.close();
  await keeper.close();
  return took;
}

/** @param scale share of the full numbers of objects */
export async function startup(scale: number) {
  const rows: string[][] = [];
  for (const full of COUNTS) {
    const count = Math.ceil(full * scale);
    const dir = await mkdtemp(join(tmpdir(), 'canopy-startup-'));
    try {
      await fill(dir, count);
      // Each in a process of its own, for a process is what starts.
      const times = Array.from({ length: ROUNDS }, () => {
        const { stdout } = spawnSync(process.execPath, [import.meta.filename, dir, String(count)]);
        return Number(stdout);
      }).toSorted((a, b) => a - b);
      rows.push([
        String(count),
        ...[0, ROUNDS >> 1, ROUNDS - 1].map((i) => (times[i] ?? NaN).toFixed(0)),
      ]);
    } finally {
      await rm(dir, { recursive: true });
    }
  }
  const columns = ['objects', 'fastest, ms', 'median, ms', 'slowest, ms'];
  return [{ title: 'From opening the disk store to the first object found', columns, rows }];
}

if (import.meta.main) {
  const [first = '1', count] = process.argv.slice(2);
  if (count === undefined) console.log(JSON.stringify(await startup(Number(first)), undefined, 1));
  else console.log(await start(first, Number(count)));
}
