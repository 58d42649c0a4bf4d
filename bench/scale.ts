import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type Benchmark, type BenchOptions, median, type Result, roundsOf } from './benchmark.ts';
import { coresOf, isThere, unbindSelf } from './cores.ts';
import { startOrigin, urlOf } from './disk-servers.ts';
import {
  canopy,
  type HitContender,
  type HitServer,
  nginx,
  nginxOf,
  selfSigned,
  varnish,
} from './hit-servers.ts';
import { fill, type Load, type Loaded, type Paths, wrk } from './load.ts';
import { trafficServer } from './traffic-server.ts';

const ROUNDS = 3;
const SECONDS = 2;
const MEMORY = ['--memory', '6g'] as const;
const IDLE_CONNECTIONS = 10_000;

export const scale: Benchmark = {
  name: 'scale',
  about:
    'What a hit of 256 bytes over HTTP/1.1 costs as a node grows: by serving threads, by stored ' +
    'objects and by sites, each asked for as often as any other, so that nothing that was made ' +
    'ready for one is there for the next; and what an idle connection takes that has been served. ' +
    'Servers and load as in `hits`, but nothing is bound to a core where there are two workers. ' +
    'Ratios are to the first row of the same server.',
  async run(options) {
    const bench = await Bench.start(options);
    try {
      const parts = {
        workers: () => byWorkers(bench),
        objects: () => byObjects(bench),
        sites: () => bySites(bench),
        connections: () => byConnections(bench),
      };
      const { only = [] } = options;
      const results: Result[] = [];
      for (const [name, part] of Object.entries(parts)) {
        if (only.length > 0 && !only.includes(name)) continue;
        results.push(await part());
        console.error(`bench: ${name}`);
      }
      return results;
    } finally {
      await bench.close();
    }
  },
};

interface Row {
  readonly contender: HitContender;
  /** What ratios are taken within. */
  readonly of: string;
  readonly size: number;
  readonly paths: Paths & { kind: 'among' };
}

async function byWorkers(bench: Bench): Promise<Result> {
  const paths = bench.among(1000, 1);
  const rows = [1, 2].flatMap((size) => [
    { of: 'nginx', contender: nginxOf('nginx', size), size, paths },
    { of: 'Canopy', contender: ours([`--workers=${size}`]), size, paths },
  ]);
  return bench.compare('Serving threads', 'workers', rows, false);
}

function byObjects(bench: Bench): Promise<Result> {
  const rows = [1_000, 10_000, 100_000, 1_000_000].flatMap((all) => {
    const size = bench.part(all);
    const paths = bench.among(size, 1);
    return [
      { of: 'Varnish', contender: varnish, size, paths },
      { of: 'Canopy', contender: ours(MEMORY), size, paths },
    ];
  });
  return bench.compare('Stored objects', 'objects', rows, true);
}

function bySites(bench: Bench): Promise<Result> {
  const rows = [1, 100, 10_000].map((all) => {
    const size = bench.part(all);
    const sites = Array.from({ length: size }, (_, i) => ({
      name: `site-${i}`,
      hosts: [`h${i}.bench.example`],
    }));
    const paths = bench.among(bench.part(10_000), size);
    return { of: 'Canopy', contender: ours(MEMORY, sites), size, paths };
  });
  return bench.compare('Sites', 'sites', rows, true);
}

const ours = (args: readonly string[], sites?: readonly object[]): HitContender =>
  canopy('Canopy', args, sites);

/** Memory that each of many connections takes which have asked once and are kept. */
async function byConnections(bench: Bench): Promise<Result> {
  const connections = bench.part(IDLE_CONNECTIONS);
  const rows: string[][] = [];
  for (const contender of [nginx, varnish, trafficServer, ours([])]) {
    const found = await bench.with(contender, true, async (server) => {
      // What the first ones need is no matter of their number.
      const first = await openConnections(server.url, Math.ceil(connections / 20));
      const before = await server.rssBytes();
      const sockets = await openConnections(server.url, connections);
      const after = await server.rssBytes();
      for (const socket of [...first, ...sockets]) socket.destroy();
      return (after - before) / connections / 1024;
    });
    if (found === undefined) continue;
    rows.push([contender.name, String(connections), found.toFixed(1)]);
  }
  const columns = ['server', 'idle connections', 'KiB for each'];
  return { title: 'Idle connections', columns, rows };
}

async function openConnections(url: string, count: number): Promise<readonly Socket[]> {
  const { hostname, port, host } = new URL(url);
  const sockets: Socket[] = [];
  for (let i = 0; i < count; i++) {
    const socket = connect({ host: hostname, port: Number(port) });
    socket.write(`GET /idle/256 HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    await once(socket, 'data');
    sockets.push(socket);
  }
  return sockets;
}

/** The origin, the cores and how much is measured. */
class Bench {
  readonly #options: BenchOptions;
  readonly #dir: string;
  readonly #origin: Awaited<ReturnType<typeof startOrigin>>;
  readonly #certificate = selfSigned();

  private constructor(
    options: BenchOptions,
    dir: string,
    origin: Awaited<ReturnType<typeof startOrigin>>,
  ) {
    this.#options = options;
    this.#dir = dir;
    this.#origin = origin;
  }

  static async start(options: BenchOptions): Promise<Bench> {
    return new Bench(options, await mkdtemp(join(tmpdir(), 'canopy-bench-')), await startOrigin());
  }

  part(count: number): number {
    return Math.ceil(count * this.#options.scale);
  }

  among(objects: number, hosts: number): Paths & { kind: 'among' } {
    return { kind: 'among', objects, bytes: 256, hosts };
  }

  /** @param bound whether server and load have a core each */
  async with<T>(
    contender: HitContender,
    bound: boolean,
    use: (
      server: HitServer,
      load: (paths: Paths, seconds: number) => Promise<Loaded>,
    ) => Promise<T>,
  ): Promise<T | undefined> {
    const { name, command, aptPackage } = contender;
    if (!isThere(command)) {
      console.error(`bench: ${name} is not there; apt-get install ${aptPackage}`);
      return undefined;
    }
    const [pinned, loading] = bound ? coresOf() : [[], []];
    const dir = await mkdtemp(join(this.#dir, 'server-'));
    await mkdir(join(dir, 'own'));
    const task = {
      dir: join(dir, 'own'),
      originUrl: urlOf(this.#origin),
      certificate: this.#certificate,
    };
    const server = await contender.start({ ...task, pinned });
    try {
      const { url } = server;
      const how = {
        url,
        fields: {},
        connections: 32,
        pinned: loading,
        dir,
      } satisfies Partial<Load>;
      return await use(server, (paths, seconds) => wrk({ ...how, paths, seconds }));
    } finally {
      await server.close();
      unbindSelf();
      await rm(dir, { recursive: true, force: true, maxRetries: 10 });
    }
  }

  async compare(
    title: string,
    what: string,
    rows: readonly Row[],
    bound: boolean,
  ): Promise<Result> {
    const { scale: part, seconds = part < 0.01 ? 1 : SECONDS } = this.#options;
    const rounds = this.#options.rounds ?? roundsOf(ROUNDS, part);
    const firsts = new Map<string, { rate: number; cpuUs: number }>();
    const lines: string[][] = [];
    for (const { contender, of, size, paths } of rows) {
      const found = await this.with(contender, bound, async (server, load) => {
        await fill(server.url, paths);
        await load(paths, 1);
        const all: { rate: number; cpuUs: number; failed: number }[] = [];
        for (let round = 0; round < rounds; round++) {
          const before = await server.cpuMs();
          const { requests, seconds: took, failed } = await load(paths, seconds);
          const cpuUs = (((await server.cpuMs()) - before) * 1000) / requests;
          all.push({ rate: requests / took, cpuUs, failed });
        }
        const middle = (key: 'rate' | 'cpuUs' | 'failed') => median(all.map((one) => one[key]));
        return {
          rate: middle('rate'),
          cpuUs: middle('cpuUs'),
          failed: middle('failed'),
          rss: await server.rssBytes(),
        };
      });
      if (found === undefined) continue;
      const { rate, cpuUs, failed, rss } = found;
      const first = firsts.get(of) ?? found;
      firsts.set(of, first);
      lines.push([
        of,
        String(size),
        rate.toFixed(0),
        (rate / first.rate).toFixed(2),
        cpuUs.toFixed(1),
        (cpuUs / first.cpuUs).toFixed(2),
        (rss / 1024 ** 2).toFixed(0),
        String(failed),
      ]);
      console.error(`bench: ${of}, ${size} ${what}`);
    }
    const columns = [
      'server',
      what,
      'per second',
      'ratio',
      'µs of processor',
      'ratio',
      'RSS MiB',
      'failed',
    ];
    return { title, columns, rows: lines };
  }

  async close(): Promise<void> {
    this.#origin.close();
    this.#origin.closeAllConnections();
    for (const path of [this.#dir, dirname(this.#certificate.keyFile)]) {
      await rm(path, { recursive: true, force: true, maxRetries: 10 });
    }
  }
}
