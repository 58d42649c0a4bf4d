import { setImmediate as nextTurn } from 'node:timers/promises';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Body } from '#core/cache/body.ts';
import { DiskStore } from '#core/cache/disk/disk-store.ts';
import { Keeper } from '#core/cache/disk/keeper.ts';
import { SharedState } from '#core/cache/disk/shared.ts';
import { systemClock } from '#core/clock.ts';
import { type Benchmark, median, roundsOf } from './benchmark.ts';
import { benchKey, benchObject } from './disk-objects.ts';

const SIZES = [1024, 4096, 16_384, 65_536, 1_048_576];
const BYTES_A_SIZE = 64 * 1024 * 1024;
const MOST_OBJECTS = 10_000;
const UNDER_WAY = 32;
const ROUNDS = 3;
const PEER = 'plain files';

interface Contender {
  write(i: number, bytes: number): Promise<void>;
  /** @returns bytes of content */
  read(i: number): Promise<number>;
  close(): Promise<void>;
}

type MakeContender = (dir: string) => Promise<Contender>;

/** @param intoFiles small bodies, too */
const canopy =
  (intoFiles: boolean): MakeContender =>
  async (dir) => {
    const log = { warn: (message: string) => console.error(message) };
    const keeper = await Keeper.open({ dir, budgetBytes: 20e9, clock: systemClock, log });
    const { place, port } = keeper.connect(1);
    const shared = new SharedState(place.shared);
    const store = new DiskStore(place, port);
    return {
      async write(i, bytes) {
        shared.isIndexFull = intoFiles;
        // Refused while as much waits for the disk as may.
        while (!(await store.put(benchObject(i, bytes)))) await nextTurn();
      },
      async read(i) {
        const body = store.lookup(benchKey(i))[0]?.body;
        if (body === undefined) throw new Error('It is not there');
        if (body instanceof Body) return body.size;
        let size = 0;
        for await (const chunk of body.read()) size += chunk.length;
        return size;
      },
      async close() {
        await store.close();
        await keeper.close();
      },
    };
  };

/** As nginx's proxy_cache lays them out: named by a hash, written aside and renamed, header in front. */
const plainFiles: MakeContender = async (dir) => {
  const pathOf = (i: number): string => {
    const name = createHash('md5').update(benchKey(i)).digest('hex');
    return join(dir, name.slice(-1), name.slice(-3, -1), name);
  };
  return {
    async write(i, bytes) {
      const { body, ...head } = benchObject(i, bytes);
      const path = pathOf(i);
      const aside = join(dir, `${i}.tmp`);
      await writeFile(aside, Buffer.concat([Buffer.from(JSON.stringify(head)), ...body.chunks]));
      await rename(aside, path).catch(async () => {
        await mkdir(dirname(path), { recursive: true });
        await rename(aside, path);
      });
    },
    async read(i) {
      return (await readFile(pathOf(i))).length;
    },
    close: async () => undefined,
  };
};

const CONTENDERS: ReadonlyMap<string, MakeContender> = new Map([
  [PEER, plainFiles],
  ['Canopy', canopy(false)],
  ['Canopy, files only', canopy(true)],
]);

/** Does `work` for each of `count`, some at once. @returns how many a second */
async function rate(count: number, work: (i: number) => Promise<unknown>): Promise<number> {
  let next = 0;
  const before = performance.now();
  const line = async (): Promise<void> => {
    for (let i = next++; i < count; i = next++) await work(i);
  };
  await Promise.all(Array.from({ length: UNDER_WAY }, line));
  return (count / (performance.now() - before)) * 1000;
}

export const diskStore: Benchmark = {
  name: 'disk-store',
  about:
    'The disk store in one thread, without HTTP, against plain files as proxy_cache of nginx lays ' +
    `them out. ${UNDER_WAY} objects are written or read at once. Three rounds, taking turns; medians.`,
  async run({ scale }) {
    const rows: string[][] = [];
    for (const bytes of SIZES) {
      const count = Math.ceil(scale * Math.min(MOST_OBJECTS, BYTES_A_SIZE / bytes));
      const rates = await ratesOf(bytes, count, roundsOf(ROUNDS, scale));
      const peer = rates.get(PEER);
      for (const [name, { writes, reads }] of rates) {
        const [written, read] = [median(writes), median(reads)];
        const row = [String(bytes), name, written.toFixed(0)];
        row.push((written / median(peer?.writes ?? [])).toFixed(2), read.toFixed(0));
        rows.push([...row, (read / median(peer?.reads ?? [])).toFixed(2)]);
      }
    }
    const columns = ['bytes', 'store', 'writes/s', 'ratio', 'reads/s', 'ratio'];
    return [{ title: 'Objects written and read', columns, rows }];
  },
};

interface Rates {
  readonly writes: number[];
  readonly reads: number[];
}

async function ratesOf(
  bytes: number,
  count: number,
  rounds: number,
): Promise<ReadonlyMap<string, Rates>> {
  const rates = new Map(
    [...CONTENDERS.keys()].map((name): [string, Rates] => [name, { writes: [], reads: [] }]),
  );
  for (let round = 0; round < rounds; round++) {
    for (const [name, make] of CONTENDERS) {
      const dir = await mkdtemp(join(tmpdir(), 'canopy-disk-bench-'));
      const contender = await make(dir);
      rates.get(name)?.writes.push(await rate(count, (i) => contender.write(i, bytes)));
      rates.get(name)?.reads.push(await rate(count, (i) => contender.read((i * 7919) % count)));
      await contender.close();
      await rm(dir, { recursive: true });
    }
  }
  return rates;
}
