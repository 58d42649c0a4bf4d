import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { siteRoutingSchema } from '#core/contract/routing.ts';
import type { Candidate } from '#control-plane/routing/engine/candidate.ts';
import { decide } from '#control-plane/routing/engine/decide.ts';
import { Overrides } from '#control-plane/routing/engine/overrides.ts';
import { parsePrefix } from '#control-plane/routing/engine/prefix.ts';
import { mmdb } from '#test/routing/mmdb.ts';
import { type BenchOptions, type Benchmark, cpuNs, median, type Result } from './benchmark.ts';
import { canopy, gdnsd, type Peer, powerdns } from './dns-peers.ts';
import { seededRandom } from './random.ts';

const run = promisify(execFile);

const PEERS: readonly Peer[] = [gdnsd, powerdns, canopy(1), canopy(2)];
const ROUNDS = 7;
const SECONDS = 3;
const NETWORKS = 20_000;
const FIRST_PORT = 5301;
const EDGE_COUNTS = [10, 100, 1_000];
const DECISIONS = 20_000;

/** Clock ticks that /proc counts processor time in. */
const TICKS_PER_SECOND = 100;

/** A's for the same name with client subnets at random, as dnsperf takes them. */
function queriesOf(networks: readonly string[], random: () => number): Buffer {
  const name = '\u0004film\u0003cdn\u0007example\0';
  const parts = networks.map(() => {
    const network = networks[Math.floor(random() * networks.length)] ?? '';
    const prefix = network.split('.').slice(0, 3).map(Number);
    const opt = [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 11, 0, 8, 0, 7, 0, 1, 24, 0, ...prefix];
    const head = [0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    const message = Buffer.from([...head, ...Buffer.from(name), 0, 1, 0, 1, ...opt]);
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

async function measure(port: number, pid: number, queries: string): Promise<Measured> {
  const before = cpuSecondsOf(pid);
  const args = ['-s', '127.0.0.1', '-p', String(port), '-B', '-d', queries];
  const load = ['-c', '8', '-q', '64', '-l', String(SECONDS)];
  const { stdout } = await run('dnsperf', [...args, ...load]);
  const completed = Number(/Queries completed:\s+(\d+)/.exec(stdout)?.[1]);
  const answered = Number(/NOERROR (\d+)/.exec(stdout)?.[1]);
  if (!(answered > 0) || answered !== completed) throw new Error(`Not all is answered: ${stdout}`);
  const perCpuSecond = completed / (cpuSecondsOf(pid) - before);
  return { perCpuSecond, perSecond: completed / SECONDS };
}

async function serving({ scale }: BenchOptions): Promise<Result> {
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
  const [database, queries] = [join(dir, 'city.mmdb'), join(dir, 'queries')];
  await writeFile(database, mmdb(Object.fromEntries(networks) as never, 'GeoIP2-City'));
  await writeFile(queries, queriesOf([...networks.keys()], random));
  const running = await Promise.all(
    PEERS.map(async ({ name, start }, place) => {
      const port = FIRST_PORT + place;
      const child = await start({ dir: join(dir, String(place)), database, port });
      return { name, port, child, measured: [] as Measured[] };
    }),
  );
  try {
    for (const { port, child } of running) {
      // Until it answers, and what it compiles or keeps is there.
      const ready = ['@127.0.0.1', '-p', String(port), '+tries=20', '+time=1', 'film.cdn.example'];
      await run('dig', ready);
      for (let i = 0; i < 3; i++) await measure(port, child.pid ?? 0, queries);
    }
    for (let round = 0; round < ROUNDS; round++) {
      for (const { port, child, measured } of running) {
        measured.push(await measure(port, child.pid ?? 0, queries));
      }
    }
  } finally {
    for (const { child } of running) child.kill();
    await rm(dir, { recursive: true, force: true, maxRetries: 10 });
  }
  const rows = running.map(({ name, measured }) => ({
    name,
    perCpuSecond: median(measured.map((one) => one.perCpuSecond)),
    perSecond: median(measured.map((one) => one.perSecond)),
  }));
  const of = (name: string): number => rows.find((row) => row.name === name)?.perCpuSecond ?? NaN;
  return {
    title: 'Answers to queries with a client subnet',
    columns: ['server', 'per second of processor', 'of gdnsd', 'of PowerDNS', 'per second'],
    rows: rows.map(({ name, perCpuSecond, perSecond }) => [
      name,
      String(Math.round(perCpuSecond)),
      (perCpuSecond / of(gdnsd.name)).toFixed(2),
      (perCpuSecond / of(powerdns.name)).toFixed(2),
      String(Math.round(perSecond)),
    ]),
  };
}

function deciding({ scale }: BenchOptions): Result {
  const random = seededRandom(11);
  const place = () => ({ latitude: random() * 120 - 50, longitude: random() * 360 - 180 });
  const routing = siteRoutingSchema.parse({});
  const network = parsePrefix('192.0.2.0/24');
  if (network === undefined) throw new Error('no network');
  const rows = EDGE_COUNTS.map((count) => {
    const candidates = Array.from({ length: count }, (_, i): Candidate => ({
      name: `edge-${i}`,
      point: place(),
      weight: 1,
      condition: 'well',
      families: new Set([4]),
      shed: 0,
    }));
    const overrides = new Overrides([]);
    const times = Math.ceil((DECISIONS * scale) / count);
    const rounds = Array.from({ length: ROUNDS + 1 }, (_, round) => {
      const before = cpuNs();
      for (let i = 0; i < times; i++) {
        const client = { network, key: `${round} ${i}`, source: 'city', point: place() } as const;
        decide({ site: { name: 'film', routing }, client, candidates, overrides });
      }
      return (cpuNs() - before) / times / 1000;
    });
    return [String(count), median(rounds.slice(1)).toFixed(1)];
  });
  return { title: 'One decision', columns: ['edges', 'µs of processor, median'], rows };
}

export const dns: Benchmark = {
  name: 'dns',
  about:
    'Authoritative answers over UDP to dnsperf, A for one name with client subnets of 20,000 networks at random, all known to one city database. gdnsd finds the nearest datacenter by it, PowerDNS the country, Canopy decides by its whole chain and remembers. All run at once and are asked in turn, after three rounds that do not count; medians of seven. Counted is the processor time of the whole process, for dnsperf and others share the machine. Needs dnsperf, gdnsd, pdns-server, pdns-backend-geoip and bind9-dnsutils of Debian.',
  run: async (options) => [await serving(options), deciding(options)],
};
