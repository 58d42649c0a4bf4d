import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getHeapStatistics } from 'node:v8';
import autocannon from 'autocannon';
import { pino } from 'pino';
import { AccessEntry } from '#core/telemetry/access-log/entry.ts';
import { FORMATS, type LogFormat } from '#core/telemetry/access-log/format.ts';
import { ThreadLog } from '#core/telemetry/access-log/thread-log.ts';
import { type Benchmark, cpuNs, interleaved, median, type Result, roundsOf } from './benchmark.ts';
import { type DiskServer, startCanopy, startOrigin, urlOf } from './disk-servers.ts';

const REQUESTS = 1_000_000;
const ROUNDS = 5;

/** What a request gives an entry: as many texts as a browser sends, none of them the same object twice. */
function fill(entry: AccessEntry, i: number): void {
  entry.timeMs = 1_790_000_000_000 + i / 80;
  entry.client = '203.0.113.7';
  entry.method = 'GET';
  entry.scheme = 'https';
  entry.host = 'www.example.org';
  entry.target = TARGETS[i & 1023] as string;
  entry.httpVersion = '1.1';
  entry.status = 200;
  entry.bytesSent = 1024 + (i & 255);
  entry.requestBytes = -1;
  entry.referer = 'https://www.example.org/index.html';
  entry.userAgent = USER_AGENT;
  entry.requestId = entry.traceparent = '';
  entry.firstByteMs = 0.05 + (i & 63) / 1000;
  entry.durationMs = 0.07 + (i & 63) / 1000;
  entry.end = 'complete';
  entry.site = 'shop';
  entry.cache = 'hit';
  entry.fwd = '';
  entry.fwdStatus = 0;
  entry.stored = entry.collapsed = false;
  entry.ttlSeconds = 60;
  entry.detail = 'fresh';
  entry.parent = '';
  entry.tls = 'TLSv1.3';
  entry.sample = 1;
}

const TARGETS = Array.from({ length: 1024 }, (_, i) => `/assets/images/${i}/photo.jpg?width=${i}`);
const USER_AGENT =
  'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36';

interface Contender {
  readonly name: string;
  /** Deals with so many requests. */
  run(requests: number): void;
}

const nothing: Contender = {
  name: 'the call alone: an entry is filled',
  run: (requests) => {
    const entry = new AccessEntry();
    for (let i = 0; i < requests; i++) fill(entry, i);
  },
};

function ours(name: string, format: LogFormat): Contender {
  return {
    name,
    run: (requests) => {
      const log: ThreadLog = new ThreadLog({
        content: { format, sample: 1, addresses: 'whole', mask: [] },
        node: 'edge',
        post: ({ memory }) => log.returned(memory),
        later: () => undefined,
      });
      for (let i = 0; i < requests; i++) fill(log.next(), i);
      log.flush();
    },
  };
}

/** Texts as bytes with their lengths, for another thread to make lines of. */
function handedOver(): Contender {
  const memory = Buffer.allocUnsafe(256 * 1024);
  return {
    name: 'entries as bytes, for another thread to make lines of',
    run: (requests) => {
      const entry = new AccessEntry();
      let at = 0;
      const put = (text: string): void => {
        const bytes = memory.write(text, at + 2, 'latin1');
        memory.writeUInt16LE(bytes, at);
        at += 2 + bytes;
      };
      for (let i = 0; i < requests; i++) {
        fill(entry, i);
        if (at > 250 * 1024) at = 0;
        for (const number of [
          entry.timeMs,
          entry.status,
          entry.bytesSent,
          entry.requestBytes,
          entry.firstByteMs,
          entry.durationMs,
          entry.fwdStatus,
          entry.ttlSeconds ?? 0,
          entry.sample,
        ]) {
          at = memory.writeDoubleLE(number, at);
        }
        put(entry.client);
        put(entry.method);
        put(entry.scheme);
        put(entry.host);
        put(entry.target);
        put(entry.referer);
        put(entry.userAgent);
        put(entry.site);
        put(entry.cache);
        put(entry.detail);
        put(entry.end);
        put(entry.tls);
      }
    },
  };
}

/** What most programs do: an object and a line for each request, at once. */
function withPino(): Contender {
  let bytes = 0;
  const log = pino({ base: null }, { write: (line: string) => void (bytes += line.length) });
  return {
    name: 'pino, a line at once',
    run: (requests) => {
      const entry = new AccessEntry();
      for (let i = 0; i < requests; i++) {
        fill(entry, i);
        log.info(Object.assign({}, entry));
      }
      if (bytes === 0) throw new Error('pino has written nothing');
    },
  };
}

/** A new entry for each request, and its line at once. */
const lineAtOnce: Contender = {
  name: 'a new entry and its line at once',
  run: (requests) => {
    let bytes = 0;
    for (let i = 0; i < requests; i++) {
      const entry = new AccessEntry();
      fill(entry, i);
      bytes += Buffer.from(FORMATS.json(entry, { node: 'edge', location: '' }), 'latin1').length;
    }
    if (bytes === 0) throw new Error('There are no lines');
  },
};

/** Bytes that were ever allocated; newer than the types. */
const allocatedBytes = (): number =>
  (getHeapStatistics() as unknown as { readonly total_allocated_bytes: number })
    .total_allocated_bytes;

/** Bytes that a request allocates with a contender. */
function bytesPerRequest(contender: Contender, requests: number): number {
  const before = allocatedBytes();
  contender.run(requests);
  return (allocatedBytes() - before) / requests;
}

const HITS = 40_000;
const CONNECTIONS = 20;
const EDGES: ReadonlyMap<string, readonly string[]> = new Map([
  ['none', []],
  ['JSON', ['--access-log-format', 'json']],
  ['Combined', ['--access-log-format', 'combined']],
]);

/** Hits of 1 KiB at edges that keep a log and one that keeps none, each a process. */
async function wholeEdges(scale: number): Promise<Result> {
  const dir = await mkdtemp(join(tmpdir(), 'canopy-bench-'));
  const origin = await startOrigin();
  const servers = new Map<string, DiskServer>();
  try {
    for (const [name, options] of EDGES) {
      const own = join(dir, name);
      await mkdir(own);
      const log = options.length === 0 ? [] : ['--access-log', join(own, 'access.log')];
      servers.set(name, await startCanopy(own, urlOf(origin), [...options, ...log]));
    }
    const us = new Map<string, number[]>([...EDGES.keys()].map((name) => [name, []]));
    const amount = Math.max(CONNECTIONS, Math.ceil(HITS * scale));
    // The first round is for the compiler.
    for (let round = 0; round <= roundsOf(ROUNDS, scale); round++) {
      for (const [name, server] of servers) {
        const before = await server.cpuMs();
        await autocannon({
          url: `${server.url}/1024`,
          connections: CONNECTIONS,
          amount,
          headers: { 'user-agent': USER_AGENT, referer: 'https://www.example.org/' },
        });
        if (round > 0) us.get(name)?.push(((await server.cpuMs()) - before) / (amount / 1000));
      }
    }
    const rows = [...us].map(([name, values]) => [name, median(values).toFixed(1)]);
    return { title: 'Whole edges', columns: ['log', 'processor time a hit, µs'], rows };
  } finally {
    for (const server of servers.values()) await server.close();
    origin.close();
    await rm(dir, { recursive: true, force: true, maxRetries: 10 });
  }
}

export const accessLog: Benchmark = {
  name: 'access-log',
  about:
    'What a request costs the serving thread when it is written down, in processor time and ' +
    'memory allocated: the call that a request makes, and with the lines that are made of many ' +
    `between requests. Median of ${ROUNDS} interleaved rounds; against other ways, and pino. ` +
    "Writing the lines is the main thread's. Then hits of 1 KiB at whole edges of one serving thread, " +
    "the main thread's part and the kernel's included.",
  async run({ scale }) {
    const requests = Math.ceil(REQUESTS * scale);
    const contenders = [
      nothing,
      ours('JSON', 'json'),
      ours('Combined', 'combined'),
      handedOver(),
      lineAtOnce,
      withPino(),
    ];
    for (const contender of contenders) contender.run(Math.ceil(requests / 10));
    const ns = interleaved(contenders, ROUNDS, (contender) => {
      const start = cpuNs();
      contender.run(requests);
      return (cpuNs() - start) / requests;
    });
    const rows = contenders.map((contender) => {
      const each = median(ns.get(contender) ?? []);
      return [
        contender.name,
        each.toFixed(0),
        `${((each * 80_000) / 1e7).toFixed(1)} %`,
        bytesPerRequest(contender, requests).toFixed(0),
      ];
    });
    const columns = ['what', 'ns a request', 'of a core at 80,000/s', 'bytes allocated'];
    return [{ title: 'Cost', columns, rows }, await wholeEdges(scale)];
  },
};
