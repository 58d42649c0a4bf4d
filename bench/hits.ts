import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type BenchOptions, type Benchmark, median, type Result } from './benchmark.ts';
import { coresOf, isThere, unbindSelf } from './cores.ts';
import { REFRESHED, startOrigin, urlOf } from './disk-servers.ts';
import {
  canopy,
  type HitContender,
  type HitServer,
  nginx,
  selfSigned,
  varnish,
} from './hit-servers.ts';
import { trafficServer } from './traffic-server.ts';
import { cannon, h2load, type Load, type Loaded, type Paths, wrk } from './load.ts';

const KIB = 1024;
const ROUNDS = 3;
const SECONDS = 3;
const ZIPF_OBJECTS = 100_000;
const SEVERAL_OBJECTS = 100;
/** The first is what ratios are taken to. */
const CONTENDERS: readonly HitContender[] = [
  nginx,
  varnish,
  trafficServer,
  canopy('Canopy', ['--hit-lane', 'on']),
  canopy('Canopy without lane', ['--hit-lane', 'off']),
];

type Protocol = 'HTTP/1.1' | 'TLS' | 'HTTP/2';
type Kind = 'hit' | '304' | 'range' | 'several' | 'refreshed' | 'miss' | 'zipf';

/** One line of what is measured. */
interface Case {
  readonly protocol: Protocol;
  readonly kind: Kind;
  readonly bytes: number;
  readonly connections: number;
}

const hit = (protocol: Protocol, bytes: number, connections: number, kind: Kind = 'hit'): Case => ({
  protocol,
  kind,
  bytes,
  connections,
});

const CASES: readonly Case[] = [
  ...[1, 32, 512].map((connections) => hit('HTTP/1.1', KIB, connections)),
  ...[10 * KIB, 100 * KIB, KIB * KIB].map((bytes) => hit('HTTP/1.1', bytes, 32)),
  hit('HTTP/1.1', KIB, 32, '304'),
  hit('HTTP/1.1', 100 * KIB, 32, 'range'),
  hit('HTTP/1.1', KIB, 32, 'several'),
  hit('HTTP/1.1', KIB, 32, 'refreshed'),
  ...[KIB, 10 * KIB, 100 * KIB, KIB * KIB].map((bytes) => hit('TLS', bytes, 32)),
  ...[KIB, 10 * KIB, 100 * KIB].map((bytes) => hit('HTTP/2', bytes, 32)),
  hit('HTTP/1.1', KIB, 32, 'miss'),
  hit('HTTP/1.1', 9 * KIB, 32, 'zipf'),
];

const nameOf = ({ protocol, kind, bytes, connections }: Case): string =>
  `${protocol} ${kind} ${bytes / KIB} KiB ${connections}`;

/** A measurement of one server in one round. */
interface Measured extends Loaded {
  /** Processor time of the server for each request, µs. */
  readonly cpuUs: number;
  readonly rssMib: number;
}

export const hits: Benchmark = {
  name: 'hits',
  about:
    'Hits over HTTP: one worker each of nginx (proxy_cache), Varnish (no TLS), Traffic Server and an edge, the same ' +
    'origin and validators, keep-alive, without an access log. The server is bound to one core, the ' +
    'load (wrk of one thread; h2load with ten streams for HTTP/2), the origin and this benchmark to ' +
    'the other; rounds interleaved, medians. Ratios are to nginx in the same round, with the least ' +
    'and the greatest. `several` is 100 objects, `refreshed` as many that are fresh for a second and ' +
    'refreshed behind: what refreshing costs the rest is the difference in p99. `zipf` is 100 thousand objects (exponent 0.8, 2 to 16 KiB) beyond the 256 MiB ' +
    'of memory. Needs `apt-get install nginx-light varnish trafficserver wrk nghttp2-client openssl`; a peer that ' +
    'is not there is left out.',
  run: (options) => compare(options, CASES, (one) => (one.protocol === 'HTTP/2' ? h2load : wrk)),
};

export const autocannonHits: Benchmark = {
  name: 'autocannon',
  about:
    'Hits of 1 and 10 KiB over HTTP/1.1 as in `hits`, asked by autocannon, for who has no wrk. It is ' +
    'the slower side here: processor time of the server tells more than requests per second.',
  run: (options) =>
    compare(options, [hit('HTTP/1.1', KIB, 32), hit('HTTP/1.1', 10 * KIB, 32)], () => cannon),
};

async function compare(
  {
    scale,
    rounds = scale < 0.01 ? 1 : ROUNDS,
    seconds = scale < 0.01 ? 1 : SECONDS,
    only = [],
  }: BenchOptions,
  all: readonly Case[],
  loader: (one: Case) => (load: Load) => Promise<Loaded>,
): Promise<readonly Result[]> {
  const cases = all.filter((one) => only.every((word) => nameOf(one).includes(word)));
  const chosen = scale < 0.01 ? cases.slice(0, 1) : cases;
  const dir = await mkdtemp(join(tmpdir(), 'canopy-bench-'));
  const [serving, loading] = coresOf();
  const origin = await startOrigin();
  const certificate = selfSigned();
  const servers = new Map<string, HitServer>();
  const measured = new Map<string, Measured[]>();
  try {
    for (const contender of CONTENDERS) {
      const { name, command, aptPackage } = contender;
      if (!isThere(command)) {
        console.error(`bench: ${name} is not there; apt-get install ${aptPackage}`);
        continue;
      }
      // Traffic Server takes no spaces in paths.
      const own = join(dir, name.replaceAll(' ', '-'));
      await mkdir(own);
      const task = { dir: own, originUrl: urlOf(origin), certificate, pinned: serving };
      servers.set(name, await contender.start(task));
    }
    for (const one of chosen) {
      for (let round = -1; round < rounds; round++) {
        for (const [name, server] of servers) {
          const url = one.protocol === 'HTTP/1.1' ? server.url : server.tlsUrl;
          if (url === undefined) continue;
          const paths = pathsOf(one, round, Math.ceil(ZIPF_OBJECTS * scale));
          // The first round fills the caches and has hot code compiled.
          const long = round >= 0 || one.kind === 'zipf' ? seconds : 1;
          const load = { url, paths, fields: fieldsOf(one), seconds: long, pinned: loading, dir };
          const { connections } = one;
          const found = await measure(server, () => loader(one)({ ...load, connections }));
          if (round < 0) continue;
          const key = `${nameOf(one)} ${name}`;
          measured.set(key, [...(measured.get(key) ?? []), found]);
        }
      }
      console.error(`bench: ${nameOf(one)}`);
    }
  } finally {
    for (const server of servers.values()) await server.close();
    origin.close();
    origin.closeAllConnections();
    unbindSelf();
    for (const path of [dir, dirname(certificate.keyFile)]) {
      await rm(path, { recursive: true, force: true, maxRetries: 10 });
    }
  }
  const rows = chosen.flatMap((one) =>
    [...servers.keys()].flatMap((name) => rowOf(one, name, measured)),
  );
  const columns =
    `protocol,what,KiB,connections,server,per second,ratio,spread,µs of processor,ratio,p50 ms,p99 ms,p99.9 ms,RSS MiB,failed`.split(
      ',',
    );
  return [{ title: 'Over HTTP', columns, rows }];
}

const rate = ({ requests, seconds }: Loaded): number => requests / seconds;

function rowOf(
  one: Case,
  name: string,
  measured: ReadonlyMap<string, readonly Measured[]>,
): string[][] {
  const own = measured.get(`${nameOf(one)} ${name}`);
  const peer = measured.get(`${nameOf(one)} ${nginx.name}`);
  if (own === undefined) return [];
  const of = (what: keyof Measured): number => median(own.map((round) => round[what]));
  const ratios = own.map((round, i) => rate(round) / rate(peer?.[i] ?? round));
  const costs = own.map(({ cpuUs }, i) => cpuUs / (peer?.[i]?.cpuUs ?? cpuUs));
  const ms = (what: 'p50' | 'p99' | 'p999'): string => of(what).toFixed(2);
  const failed = own.reduce((sum, round) => sum + round.failed, 0);
  return [
    [
      one.protocol,
      one.kind,
      String(one.bytes / KIB),
      String(one.connections),
      name,
      median(own.map(rate)).toFixed(0),
      median(ratios).toFixed(2),
      `${Math.min(...ratios).toFixed(2)}–${Math.max(...ratios).toFixed(2)}`,
      of('cpuUs').toFixed(1),
      median(costs).toFixed(2),
      ms('p50'),
      ms('p99'),
      ms('p999'),
      of('rssMib').toFixed(0),
      String(failed),
    ],
  ];
}

async function measure(server: HitServer, load: () => Promise<Loaded>): Promise<Measured> {
  const before = await server.cpuMs();
  const loaded = await load();
  const cpuMs = (await server.cpuMs()) - before;
  const rssMib = (await server.rssBytes()) / KIB ** 2;
  return { ...loaded, cpuUs: (cpuMs * 1000) / loaded.requests, rssMib };
}

function pathsOf({ kind, bytes }: Case, round: number, objects: number): Paths {
  if (kind === 'zipf') return { kind: 'zipf', objects, exponent: 0.8 };
  if (kind === 'several' || kind === 'refreshed') {
    const prefix = kind === 'refreshed' ? REFRESHED.slice(1) : kind;
    return { kind: 'several', prefix, objects: SEVERAL_OBJECTS, bytes };
  }
  if (kind === 'miss') return { kind: 'new', prefix: `miss-${round}-${process.pid}`, bytes };
  return { kind: 'one', path: `/hit/${bytes}` };
}

function fieldsOf({ kind, bytes }: Case): Readonly<Record<string, string>> {
  if (kind === '304') return { 'If-None-Match': `"${bytes}"` };
  return kind === 'range' ? { Range: 'bytes=1000-11239' } : {};
}
