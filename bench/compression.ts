import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Agent } from 'undici';
import { type Benchmark, median, roundsOf } from './benchmark.ts';
import { measured, type Phase } from './disk-http.ts';
import { type DiskServer, startCanopy, startNginx, urlOf } from './disk-servers.ts';

const SIZES = [16_384, 131_072];
const OBJECTS = 32;
const REQUESTS = 12_000;
const CONNECTIONS = 32;
const ROUNDS = 3;

/** A server, and what it is asked for. */
interface Contender {
  readonly name: string;
  readonly server: DiskServer;
  readonly coding: string | undefined;
}

const NGINX_GZIP = 'gzip on; gzip_types text/javascript; gzip_comp_level 4; gzip_proxied any;';

export const compression: Benchmark = {
  name: 'compression',
  about:
    'Hits of script files (TypeScript of this repository, cut to size), sent as they are and ' +
    'compressed: an edge of one serving thread that answers from its stored copy, the same edge with ' +
    'compression off, and one process of nginx with proxy_cache, with and without gzip on the fly ' +
    '(level 4). nginx-light has no brotli. Three rounds, taking turns; medians. The client shares the ' +
    'machine with both, so that processor time of the server tells more than requests per second; that of ' +
    'compressing once, before the hits, is not in it. The ratio is of processor time to nginx as it is.',
  async run({ scale }) {
    const dir = await mkdtemp(join(tmpdir(), 'canopy-bench-'));
    const origin = await startScripts();
    const agent = new Agent({ connections: CONNECTIONS, pipelining: 1 });
    const servers: DiskServer[] = [];
    const open = async (name: string, start: (own: string, url: string) => Promise<DiskServer>) => {
      const own = join(dir, name);
      await mkdir(own);
      const server = await start(own, urlOf(origin));
      servers.push(server);
      return server;
    };
    try {
      const memory = ['--memory', '256m'];
      const enabled = { compression: { enabled: true } };
      const off = await open('off', (own, url) => startCanopy(own, url, memory));
      const on = await open('on', (own, url) => startCanopy(own, url, memory, enabled));
      const plain = await open('plain', (own, url) => startNginx(own, url));
      const gzip = await open('gzip', (own, url) => startNginx(own, url, NGINX_GZIP));
      const contenders: readonly Contender[] = [
        { name: 'nginx, as it is', server: plain, coding: undefined },
        { name: 'nginx, gzip', server: gzip, coding: 'gzip' },
        { name: 'Canopy, off', server: off, coding: undefined },
        { name: 'Canopy, as it is', server: on, coding: undefined },
        { name: 'Canopy, gzip', server: on, coding: 'gzip' },
        { name: 'Canopy, zstd', server: on, coding: 'zstd' },
        { name: 'Canopy, br', server: on, coding: 'br' },
      ];
      return [await compare(contenders, agent, scale)];
    } finally {
      for (const server of servers) await server.close();
      await agent.destroy();
      origin.close();
      await rm(dir, { recursive: true, force: true, maxRetries: 10 });
    }
  },
};

async function compare(contenders: readonly Contender[], agent: Agent, scale: number) {
  const rows: string[][] = [];
  for (const bytes of SIZES) {
    const phases = new Map<string, Phase[]>();
    const sent = new Map<string, number>();
    const count = Math.max(CONNECTIONS, Math.ceil(scale * REQUESTS));
    for (let round = 0; round < roundsOf(ROUNDS, scale); round++) {
      for (const { name, server, coding } of contenders) {
        const get = async (i: number): Promise<void> => {
          const path = `/${i % OBJECTS}/${bytes}`;
          sent.set(name, await fetched(agent, server.url, path, coding));
        };
        // Fetched, compressed and stored, then found there.
        for (let i = 0; i < 3 * OBJECTS; i++) await get(i);
        phases.set(name, [...(phases.get(name) ?? []), await measured(server, count, get)]);
      }
    }
    const of = (name: string, what: keyof Phase): number =>
      median((phases.get(name) ?? []).map((phase) => phase[what]));
    const [peer] = contenders;
    for (const { name } of contenders) {
      rows.push([
        String(bytes),
        name,
        String(sent.get(name)),
        of(name, 'perSecond').toFixed(0),
        of(name, 'cpuUs').toFixed(0),
        (of(name, 'cpuUs') / of(peer?.name ?? '', 'cpuUs')).toFixed(2),
      ]);
    }
  }
  const columns = ['bytes', 'server', 'bytes sent', 'hits/s', 'µs each', 'ratio'];
  return { title: 'Hits', columns, rows };
}

/** @returns bytes of content as it was sent */
async function fetched(
  agent: Agent,
  origin: string,
  path: string,
  coding: string | undefined,
): Promise<number> {
  const headers = coding === undefined ? {} : { 'accept-encoding': coding };
  const {
    statusCode,
    headers: fields,
    body,
  } = await agent.request({
    origin,
    path,
    method: 'GET',
    headers,
  });
  let size = 0;
  for await (const chunk of body) size += (chunk as Buffer).length;
  if (statusCode !== 200 || fields['content-encoding'] !== coding) {
    throw new Error(`${path}: ${statusCode}, in ${String(fields['content-encoding'])}`);
  }
  return size;
}

/** Answers `/N/BYTES` with as much script. */
async function startScripts(): Promise<Server> {
  const folder = new URL('../core/cache/', import.meta.url);
  const files = (await readdir(folder)).filter((name) => name.endsWith('.ts'));
  const source = Buffer.concat(
    await Promise.all(files.map((name) => readFile(new URL(name, folder)))),
  );
  const server = createServer((incoming, outgoing) => {
    const [, name = '', bytes = ''] = incoming.url?.split('/') ?? [];
    const start = (Number(name) * 997) % (source.length - Number(bytes));
    const content = source.subarray(start, start + Number(bytes));
    outgoing.writeHead(200, {
      'Cache-Control': 'public, max-age=86400',
      'Content-Type': 'text/javascript',
      'Content-Length': content.length,
      ETag: `"${name}-${bytes}"`,
    });
    outgoing.end(content);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}
