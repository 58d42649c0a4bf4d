import { type ChildProcess, execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { mmdb } from '#test/routing/mmdb.ts';
import { type BenchOptions, type Benchmark, median, roundsOf, type Result } from './benchmark.ts';
import { deciding } from './dns-decisions.ts';
import { canopy, echo, gdnsd, type Peer, powerdns } from './dns-peers.ts';
import { queryFor } from './dns-query.ts';
import { seededRandom } from './random.ts';

const run = promisify(execFile);

const PEERS: readonly Peer[] = [gdnsd, powerdns, canopy(1), canopy(2), echo];
const ROUNDS = 7;
const WARM_ROUNDS = 3;
const SECONDS = 3;
const NETWORKS = 20_000;
const FIRST_PORT = 5301;

/** Clock ticks that /proc counts processor time in. */
const TICKS_PER_SECOND = 100;

/** Queries for client subnets at random, as dnsperf takes them. */
function queriesOf(networks: readonly string[], random: () => number, hasCookie: boolean): Buffer {
  const parts = networks.map(() => {
    const network = networks[Math.floor(random() * networks.length)] ?? '';
    const message = queryFor(network.split('.').slice(0, 3).map(Number), hasCookie);
    return Buffer.concat([Buffer.from([0, message.length]), message]);
  });
  return Buffer.concat(parts);
}

/** Processor time of a process and all its threads, seconds. */
function cpuSecondsOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

interface Measured {
  readonly perCpuSecond: number;
  readonly perSecond: number;
}

async function measure(
  port: number,
  pid: number,
  queries: string,
  seconds: number,
): Promise<Measured> {
  const before = cpuSecondsOf(pid);
  const args = ['-s', '127.0.0.1', '-p', String(port), '-B', '-d', queries];
  const load = ['-c', '8', '-q', '64', '-l', String(seconds)];
  const { stdout } = await run('dnsperf', [...args, ...load]);
  const completed = Number(/Queries completed:\s+(\d+)/.exec(stdout)?.[1]);
  const answered = Number(/NOERROR (\d+)/.exec(stdout)?.[1]);
  if (!(answered > 0) || answered !== completed) throw new Error(`Not all is answered: ${stdout}`);
  const perCpuSecond = completed / (cpuSecondsOf(pid) - before);
  return { perCpuSecond, perSecond: completed / seconds };
}

async function serving({ scale }: BenchOptions): Promise<readonly Result[]> {
  const dir = await mkdtemp(join(tmpdir(), 'canopy-dns-'));
  const random = seededRandom(7);
  const networks = new Map<string, object>();
  while (networks.size < NETWORKS * scale) {
    const bytes = [11 + random() * 80, random() * 256, random() * 256].map(Math.floor);
    networks.set(`${bytes.join('.')}.0/24`, {
      continent: { code: 'EU' },
      country: { iso_code: random() < 0.5 ? 'NO' : 'IT' },
      location: { latitude: random() * 120 - 50, longitude: random() * 360 - 180 },
    });
  }
  const database = join(dir, 'city.mmdb');
  await writeFile(database, mmdb(Object.fromEntries(networks) as never, 'GeoIP2-City'));
  const running = await Promise.all(
    PEERS.map(async ({ name, start }, place) => {
      const port = FIRST_PORT + place;
      const child = await start({ dir: join(dir, String(place)), database, port });
      return { name, port, child };
    }),
  );
  const results: Result[] = [];
  try {
    for (const { port } of running) {
      const ready = ['@127.0.0.1', '-p', String(port), '+tries=20', '+time=1', 'film.cdn.example'];
      await run('dig', ready);
    }
    for (const hasCookie of [false, true]) {
      const queries = join(dir, `queries-${hasCookie}`);
      await writeFile(queries, queriesOf([...networks.keys()], random, hasCookie));
      results.push(await compared(running, queries, hasCookie ? ' and a cookie' : '', scale));
    }
  } finally {
    for (const { child } of running) child.kill();
    await rm(dir, { recursive: true, force: true, maxRetries: 10 });
  }
  return results;
}

interface Running {
  readonly name: string;
  readonly port: number;
  readonly child: ChildProcess;
}

async function compared(
  running: readonly Running[],
  queries: string,
  more: string,
  scale: number,
): Promise<Result> {
  const seconds = scale < 0.01 ? 1 : SECONDS;
  const measured = new Map(running.map((one) => [one, [] as Measured[]]));
  for (const { port, child } of running) {
    // Until what it compiles or keeps is there.
    for (let i = 0; i < roundsOf(WARM_ROUNDS, scale); i++) {
      await measure(port, child.pid ?? 0, queries, seconds);
    }
  }
  for (let round = 0; round < roundsOf(ROUNDS, scale); round++) {
    for (const [{ port, child }, list] of measured) {
      list.push(await measure(port, child.pid ?? 0, queries, seconds));
    }
  }
  const rows = [...measured].map(([{ name }, list]) => ({
    name,
    perCpuSecond: median(list.map((one) => one.perCpuSecond)),
    perSecond: median(list.map((one) => one.perSecond)),
  }));
  const of = ({ name }: Peer): number => rows.find((row) => row.name === name)?.perCpuSecond ?? NaN;
  return {
    title: `Answers to queries with a client subnet${more}`,
    columns: [
      'server',
      'per second of processor',
      'of gdnsd',
      'of PowerDNS',
      'of node:dgram',
      'per second',
    ],
    rows: rows.map(({ name, perCpuSecond, perSecond }) => [
      name,
      String(Math.round(perCpuSecond)),
      ...[gdnsd, powerdns, echo].map((peer) => (perCpuSecond / of(peer)).toFixed(2)),
      String(Math.round(perSecond)),
    ]),
  };
}

export const dns: Benchmark = {
  name: 'dns',
  about:
    'Authoritative answers over UDP to dnsperf, A for one name with client subnets of 20,000 networks at random, all known to one city database. gdnsd finds the nearest datacenter by it, PowerDNS the country, Canopy decides by its whole chain and remembers. The last is no DNS server, but sends back what it gets: the floor of what node:dgram lets any server do, for it takes and sends packets one by one where the others take and send many in one call. All run at once and are asked in turn, after three rounds that do not count; medians of seven. Counted is the processor time of the whole process, for dnsperf and others share the machine. What is not known yet is asked of a router in the benchmark’s own process: decisions for clients anywhere, and answers for 50,000 networks of the registries’ countries, each asked for once. Needs dnsperf, gdnsd, pdns-server, pdns-backend-geoip and bind9-dnsutils of Debian.',
  run: async (options) => [...(await serving(options)), deciding(options)],
};
