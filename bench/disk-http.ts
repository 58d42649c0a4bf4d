import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Agent } from 'undici';
import { type Benchmark, median, roundsOf } from './benchmark.ts';
import { type DiskServer, startCanopy, startNginx, startOrigin, urlOf } from './disk-servers.ts';

const SIZES = [1024, 16_384, 65_536, 1_048_576];
const BYTES_A_SIZE = 128 * 1024 * 1024;
const MOST_OBJECTS = 4000;
const CONNECTIONS = 32;
const ROUNDS = 3;
const PEER = 'nginx';

/** What one server did in one phase of one round. */
export interface Phase {
  readonly perSecond: number;
  /** Processor time of the server for each request, µs. */
  readonly cpuUs: number;
}

export const diskHttp: Benchmark = {
  name: 'disk-http',
  about:
    'An edge of one serving thread with a memory of 1 MiB, so that what it answers comes from its ' +
    'disk store, against one process of nginx with proxy_cache, each in a directory on the same ' +
    `disk. Written: objects asked for the first time by ${CONNECTIONS} connections, until all are ` +
    'on disk. Read: the same objects in another order. Three rounds, taking turns; medians. The ' +
    'client and the origin share the machine with both, so that processor time of the server tells ' +
    'more than requests per second. Content is in the page cache of the system.',
  async run({ scale }) {
    const dir = await mkdtemp(join(tmpdir(), 'canopy-bench-'));
    const origin = await startOrigin();
    const agent = new Agent({ connections: CONNECTIONS, pipelining: 1 });
    const servers = new Map<string, DiskServer>();
    try {
      for (const [name, start] of [
        [PEER, (own: string, url: string) => startNginx(own, url)],
        ['Canopy', (own: string, url: string) => startCanopy(own, url)],
      ] as const) {
        const own = join(dir, name);
        await mkdir(own);
        servers.set(name, await start(own, urlOf(origin)));
      }
      return [await compare(servers, agent, scale)];
    } finally {
      for (const server of servers.values()) await server.close();
      await agent.destroy();
      origin.close();
      await rm(dir, { recursive: true, force: true, maxRetries: 10 });
    }
  },
};

async function compare(servers: ReadonlyMap<string, DiskServer>, agent: Agent, scale: number) {
  const rows: string[][] = [];
  let objects = 0;
  for (const bytes of SIZES) {
    const count = Math.max(
      CONNECTIONS,
      Math.ceil(scale * Math.min(MOST_OBJECTS, BYTES_A_SIZE / bytes)),
    );
    const writes = new Map<string, Phase[]>();
    const reads = new Map<string, Phase[]>();
    for (let round = 0; round < roundsOf(ROUNDS, scale); round++) {
      objects += count;
      for (const [name, server] of servers) {
        const get = (i: number) => fetched(agent, `${server.url}/${round}/${i}/${bytes}`, bytes);
        const write = await measured(server, count, get, () => server.written(objects));
        const read = await measured(server, count, (i) => get((i * 7919) % count));
        writes.set(name, [...(writes.get(name) ?? []), write]);
        reads.set(name, [...(reads.get(name) ?? []), read]);
      }
    }
    for (const name of servers.keys()) {
      const cells = [writes, reads].flatMap((phases) => cellsOf(phases, name));
      rows.push([String(bytes), name, ...cells]);
    }
  }
  const columns = ['written/s', 'ratio', 'µs each', 'ratio', 'read/s', 'ratio', 'µs each', 'ratio'];
  return { title: 'Over HTTP', columns: ['bytes', 'server', ...columns], rows };
}

function cellsOf(phases: ReadonlyMap<string, readonly Phase[]>, name: string): string[] {
  const of = (server: string, what: keyof Phase): number =>
    median((phases.get(server) ?? []).map((phase) => phase[what]));
  return (['perSecond', 'cpuUs'] as const).flatMap((what) => [
    of(name, what).toFixed(0),
    (of(name, what) / of(PEER, what)).toFixed(2),
  ]);
}

/** Has `work` done for each of `count`, as many at once as there are connections. */
export async function measured(
  server: Pick<DiskServer, 'cpuMs'>,
  count: number,
  work: (i: number) => Promise<void>,
  settled: () => Promise<void> = async () => undefined,
): Promise<Phase> {
  const cpuBeforeMs = await server.cpuMs();
  const before = performance.now();
  let next = 0;
  const line = async (): Promise<void> => {
    for (let i = next++; i < count; i = next++) await work(i);
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, line));
  await settled();
  const tookMs = performance.now() - before;
  const cpuMs = (await server.cpuMs()) - cpuBeforeMs;
  return { perSecond: (count / tookMs) * 1000, cpuUs: (cpuMs / count) * 1000 };
}

async function fetched(agent: Agent, url: string, bytes: number): Promise<void> {
  const { origin, pathname } = new URL(url);
  const { statusCode, body } = await agent.request({ origin, path: pathname, method: 'GET' });
  let size = 0;
  for await (const chunk of body) size += (chunk as Buffer).length;
  if (statusCode !== 200 || size !== bytes) throw new Error(`${url}: ${statusCode}, ${size} bytes`);
}
