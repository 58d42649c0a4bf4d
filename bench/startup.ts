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
import { type Benchmark, median, roundsOf } from './benchmark.ts';
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

/** Reads every record, as who scans before it serves. @returns how long that took, ms */
async function scan(dir: string): Promise<number> {
  const before = performance.now();
  const index = new IndexDb(dir, BUDGET_BYTES);
  index.walk();
  const took = performance.now() - before;
  await index.close();
  return took;
}

/** In a process of its own, for a process is what starts. */
function timed(what: 'start' | 'scan', dir: string, count: number): number {
  const { stdout } = spawnSync(process.execPath, [import.meta.filename, what, dir, String(count)]);
  return Number(stdout);
}

export const startup: Benchmark = {
  name: 'startup',
  about:
    'From opening the disk store to the first object found in it, in a new process each time, ' +
    'against reading its whole index first. Objects of 1 KiB, all in the index; five rounds, ' +
    'taking turns.',
  async run({ scale }) {
    const rows: string[][] = [];
    for (const full of COUNTS) {
      const count = Math.ceil(full * scale);
      const dir = await mkdtemp(join(tmpdir(), 'canopy-startup-'));
      try {
        await fill(dir, count);
        const starts: number[] = [];
        const scans: number[] = [];
        for (let round = 0; round < roundsOf(ROUNDS, scale); round++) {
          starts.push(timed('start', dir, count));
          scans.push(timed('scan', dir, count));
        }
        rows.push([
          String(count),
          median(starts).toFixed(0),
          Math.max(...starts).toFixed(0),
          median(scans).toFixed(0),
          (median(starts) / median(scans)).toFixed(3),
        ]);
      } finally {
        await rm(dir, { recursive: true });
      }
    }
    const columns = ['objects', 'start, median ms', 'slowest, ms', 'scan, median ms', 'ratio'];
    return [{ title: 'Start', columns, rows }];
  },
};

if (import.meta.main) {
  const [what, dir = '', count = ''] = process.argv.slice(2);
  console.log(await (what === 'scan' ? scan(dir) : start(dir, Number(count))));
}
