import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Journal } from '#control-plane/journal/journal.ts';
import { openSqliteState } from '#control-plane/state/sqlite.ts';
import { systemClock } from '#core/clock.ts';
import { BenchNetwork } from './bench-network.ts';
import { type Benchmark, median, type Result } from './benchmark.ts';
import { BenchRedis } from './redis.ts';

const NODES = [50, 200];
const ROUNDS = 30;
const WARM_UP = 5;
const SUSTAINED = 500;
/** Orders under way at once. */
const ORDERS = 32;
const EVENTS = 100_000;
const BATCH = 1_000;

const order = (i: number): object => ({ urls: [`http://www.example.org/news/${i}`] });
const MESSAGE = JSON.stringify(order(0));

async function timed(work: () => Promise<unknown>): Promise<number> {
  const before = performance.now();
  await work();
  return performance.now() - before;
}

async function inDirectory<T>(work: (dir: string) => Promise<T>): Promise<T> {
  const dir = await mkdtemp(join(tmpdir(), 'canopy-bench-'));
  try {
    return await work(dir);
  } finally {
    await rm(dir, { recursive: true });
  }
}

/** From the order of a purge until it is reported complete, beside a message to as many subscribers. */
function fanout(nodes: number, rounds: number, sustained: number) {
  return inDirectory(async (dir) => {
    const network = await BenchNetwork.start(dir);
    const redis = await BenchRedis.start(nodes);
    try {
      await network.addSite('site');
      for (let i = 0; i < nodes; i++) await network.addNode(`edge-${i}`);
      const purges: number[] = [];
      const messages: number[] = [];
      const versions: number[] = [];
      const all = async (): Promise<void> => network.complete(await network.purge(order(0)));
      const publish = (): Promise<void> => redis.publish(MESSAGE);
      for (let i = 0; i < WARM_UP; i++) {
        await all();
        await publish();
      }
      for (let i = 0; i < rounds; i++) {
        purges.push(await timed(all));
        messages.push(await timed(publish));
        // Each time another.
        const cache = { cache: { maxObjectBytes: 1_000_000 + i } };
        versions.push(await timed(() => network.configure('site', cache)));
      }
      const purgesMs = await timed(() => purgeAll(network, sustained));
      const messagesMs = await timed(() => redis.publish(MESSAGE, sustained));
      return {
        latency: [purges, messages, versions],
        perSecond: [purgesMs, messagesMs].map((ms) => (sustained / ms) * 1000),
      };
    } finally {
      await Promise.all([network.close(), redis.close()]);
    }
  });
}

/** Orders `count` purges, some at once, and waits for all of them. */
async function purgeAll(network: BenchNetwork, count: number): Promise<void> {
  let next = 0;
  const ids: string[] = [];
  const one = async (): Promise<void> => {
    while (next < count) ids.push(await network.purge(order(next++)));
  };
  await Promise.all(Array.from({ length: ORDERS }, one));
  for (const id of ids.slice(-ORDERS)) await network.complete(id);
}

/** How long a node takes that was away for `count` events, beside reading as many from a Redis stream. */
function replay(count: number) {
  return inDirectory(async (dir) => {
    const state = openSqliteState(dir);
    const journal = await Journal.open(state, systemClock);
    const { config } = journal;
    for (let i = 0; i < count; i += BATCH) {
      await journal.change(() => ({
        entries: Array.from({ length: Math.min(BATCH, count - i) }, (_, j) => ({
          type: 'purge',
          purge: {
            id: `purge-${i + j}`,
            mode: 'hard',
            target: { kind: 'tags', site: 'site', tags: [`tag-${i + j}`] },
          },
        })),
      }));
    }
    const events = (await journal.events(config.sequence, 1)) ?? [];
    await state.close();

    const network = await BenchNetwork.start(dir);
    const redis = await BenchRedis.start(0);
    try {
      const pipeline = redis.client.pipeline();
      for (let i = 0; i < count; i++) pipeline.xadd('journal', '*', 'e', JSON.stringify(events[0]));
      await pipeline.exec();
      const redisMs = await timed(async () => {
        for (let last = '0'; ;) {
          const read = await redis.client.xread('COUNT', BATCH, 'STREAMS', 'journal', last);
          const entries = read?.[0]?.[1] ?? [];
          for (const [, fields] of entries) JSON.parse(fields[1] ?? '');
          last = entries.at(-1)?.[0] ?? last;
          if (entries.length < BATCH) return;
        }
      });
      // A node that has been told nothing since the journal began.
      const name = 'edge-0';
      await mkdir(join(dir, name));
      await writeFile(join(dir, name, 'config.json'), JSON.stringify(config));
      let applied = 0;
      const nodeMs = await timed(() => network.addNode(name, () => applied++));
      if (applied < count) throw new Error(`Only ${applied} events were replayed`);
      return { nodeMs, redisMs };
    } finally {
      await Promise.all([network.close(), redis.close()]);
    }
  });
}

const ms = (value: number): string => value.toFixed(value < 10 ? 2 : 1);
const ninth = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length * 0.9)] ?? NaN;

export const purgeFanout: Benchmark = {
  name: 'purge-fanout',
  about:
    'A real control plane over SQLite and nodes without a cache over their real links, against ' +
    'bare Redis `PUBLISH` to as many subscribers (written down nowhere, acknowledged by nobody) ' +
    'in the same run, taking turns. A purge is timed by its client, from the order until it is ' +
    `reported complete: two requests, with a push to each node and its acknowledgement between; ` +
    `a configuration until every node has applied it. ` +
    `Sustained: ${ORDERS} orders under way at once, until all are complete.`,
  async run({ scale }) {
    const latency: string[][] = [];
    const sustained: string[][] = [];
    for (const full of NODES) {
      const nodes = Math.max(2, Math.round(full * scale));
      const found = await fanout(nodes, Math.ceil(ROUNDS * scale), Math.ceil(SUSTAINED * scale));
      const [purges = [], messages = [], versions = []] = found.latency;
      latency.push([
        String(nodes),
        ...[purges, messages].flatMap((times) => [ms(median(times)), ms(ninth(times))]),
        (median(purges) / median(messages)).toFixed(1),
        ms(median(versions)),
        ms(ninth(versions)),
      ]);
      const [canopy = NaN, redis = NaN] = found.perSecond;
      sustained.push([
        String(nodes),
        canopy.toFixed(0),
        redis.toFixed(0),
        (redis / canopy).toFixed(1),
      ]);
    }
    const events = Math.ceil(EVENTS * scale);
    const { nodeMs, redisMs } = await replay(events);
    const tables: Result[] = [
      {
        title: 'From the order until complete',
        columns: [
          'nodes',
          'purge, median ms',
          '90th',
          'PUBLISH, median ms',
          '90th',
          'ratio',
          'configuration, median ms',
          '90th',
        ],
        rows: latency,
      },
      {
        title: 'Sustained',
        columns: ['nodes', 'purges/s', 'PUBLISH/s', 'ratio'],
        rows: sustained,
      },
      {
        title: 'Replay of the journal by one node, against XREAD and JSON.parse of as many',
        columns: ['events', 'node, ms', 'events/s', 'Redis stream, ms', 'ratio'],
        rows: [
          [
            String(events),
            nodeMs.toFixed(0),
            ((events / nodeMs) * 1000).toFixed(0),
            redisMs.toFixed(0),
            (nodeMs / redisMs).toFixed(1),
          ],
        ],
      },
    ];
    return tables;
  },
};
