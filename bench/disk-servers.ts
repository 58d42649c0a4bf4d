import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { Agent, request } from 'undici';
import { type RunningControlPlane, startControlPlane } from '#control-plane/server.ts';

/** A cache on disk that is asked over HTTP, as a process. */
export interface DiskServer {
  readonly url: string;
  /** Resolves when all that was answered is on disk. @param objects so far in all */
  written(objects: number): Promise<void>;
  /** Processor time that it has used, ms. */
  cpuMs(): Promise<number>;
  close(): Promise<void>;
}

/** Of objects whose path begins so, which are refreshed behind once a second. */
export const REFRESHED = '/refreshed';

/** Answers `/…/BYTES` with as much. */
export async function startOrigin(): Promise<Server> {
  const contents = new Map<number, Buffer>();
  const server = createServer((incoming, outgoing) => {
    const bytes = Number(incoming.url?.split('/').at(-1));
    let content = contents.get(bytes);
    if (content === undefined) contents.set(bytes, (content = Buffer.alloc(bytes, 'canopy ')));
    const isRefreshed = incoming.url?.startsWith(REFRESHED) === true;
    const lifetime = isRefreshed ? 'max-age=1, stale-while-revalidate=86400' : 'max-age=86400';
    outgoing.writeHead(200, {
      'Cache-Control': `public, ${lifetime}`,
      'Content-Type': 'image/jpeg',
      'Content-Length': bytes,
      ETag: `"${bytes}"`,
    });
    outgoing.end(content);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

export const urlOf = (server: Server): string =>
  `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

const CLI = fileURLToPath(new URL('../cli/main.ts', import.meta.url));
const TOKEN = 'token-of-the-benchmark';
/** `USER_HZ` of Linux. */
const TICKS_PER_SECOND = 100;

/** Of a process and its threads. */
export async function cpuMsOf(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  const [user = 0, system = 0] = stat
    .slice(stat.lastIndexOf(')'))
    .split(' ')
    .slice(12, 14)
    .map(Number);
  return ((user + system) / TICKS_PER_SECOND) * 1000;
}

/**
 * An edge of one serving thread, with so little memory that what is asked for comes from disk.
 * @param more of its options @param site settings over the defaults
 */
export async function startCanopy(
  dir: string,
  originUrl: string,
  more: readonly string[] = [],
  site: object = {},
): Promise<DiskServer> {
  const args = ['--memory', '1m', '--disk', '8g', '--disk-keep-free', '1m', ...more];
  const { adminUrl, agent, ...edge } = await startEdgeOf(dir, originUrl, { args, site });
  return {
    ...edge,
    async written(objects) {
      for (;;) {
        const { body } = await request(`${adminUrl}/metrics`, { dispatcher: agent });
        const text = await body.text();
        const line = /^canopy_store_stored_total\{.*store="disk".* (\d+)$/m.exec(text);
        if (Number(line?.[1] ?? 0) >= objects) return;
        await sleep(5);
      }
    },
  };
}

export interface EdgeProcess extends Omit<DiskServer, 'written'> {
  readonly pid: number;
  readonly tlsUrl: string;
  readonly adminUrl: string;
  readonly agent: Agent;
}

/** An edge of one serving thread as a process, with a control plane in this one. */
export async function startEdgeOf(
  dir: string,
  originUrl: string,
  {
    args,
    command = [],
    certificate,
    site = {},
    sites = [{ name: 'site', hosts: ['*'], ...site }],
  }: {
    readonly args: readonly string[];
    /** What runs it, such as taskset with its arguments. */
    readonly command?: readonly string[];
    /** PEM; with it, it serves TLS, too. */
    readonly certificate?: { readonly chain: string; readonly key: string };
    /** Settings over the defaults. */
    readonly site?: object;
    /** All there are, in place of the one; the origin is added. */
    readonly sites?: readonly object[];
  },
): Promise<EdgeProcess> {
  const controlPlane = await startControlPlane({
    dir: join(dir, 'control-plane'),
    host: '127.0.0.1',
    port: 0,
    admin: { host: '127.0.0.1', port: 0 },
    adminToken: TOKEN,
    leaseMs: 60_000,
    log: pino({ level: 'silent' }),
  });
  const agent = new Agent();
  const origin = { kind: 'pull', servers: [{ url: originUrl }] };
  await send(controlPlane, 'POST', '/v1/config', {
    sites: sites.map((one) => ({ origin, ...one })),
  });
  if (certificate !== undefined)
    await put(controlPlane, '/v1/certificates/default', {
      ...certificate,
      privateAuthority: true,
    });
  const location = { name: 'bench', latitude: 0, longitude: 0 };
  const node = { tier: 'edge', location, url: 'http://127.0.0.1:1' };
  const { credential } = (await put(controlPlane, '/v1/nodes/edge', node)) as {
    credential: string;
  };
  const tlsPort = await freePort();
  const tls = certificate === undefined ? [] : ['--tls-listen', `127.0.0.1:${tlsPort}`];
  const [file = '', ...line] = [
    ...command,
    process.execPath,
    CLI,
    'edge',
    '--name=edge',
    `--control-plane=${controlPlane.url}`,
    `--dir=${join(dir, 'edge')}`,
    '--listen=127.0.0.1:0',
    '--admin=127.0.0.1:0',
    '--workers=1',
    ...tls,
    ...args,
  ];
  const child = spawn(file, line, {
    env: { ...process.env, CANOPY_CREDENTIAL: credential },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const said = await says(child, /serving on (\S+).*admin on (\S+)/s);
  const [, url = '', adminUrl = ''] = said;
  return {
    url,
    tlsUrl: `https://127.0.0.1:${tlsPort}`,
    adminUrl,
    agent,
    pid: child.pid as number,
    cpuMs: () => cpuMsOf(child.pid as number),
    async close() {
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
      await controlPlane.close();
      await agent.close();
    },
  };
}

const put = (controlPlane: RunningControlPlane, path: string, content: object) =>
  send(controlPlane, 'PUT', path, content);

async function send(
  controlPlane: RunningControlPlane,
  method: 'PUT' | 'POST',
  path: string,
  content: object,
) {
  const { statusCode, body } = await request(controlPlane.url + path, {
    method,
    headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
    body: JSON.stringify(content),
  });
  const answer = await body.text();
  if (statusCode >= 300) throw new Error(answer);
  return JSON.parse(answer) as unknown;
}

/** Resolves once its output matches; rejects where it ends before. */
async function says(child: ChildProcess, pattern: RegExp): Promise<RegExpExecArray> {
  let output = '';
  // What else it says has a reader, too.
  for await (const chunk of child.stdout?.iterator({ destroyOnReturn: false }) ?? []) {
    output += String(chunk);
    const found = pattern.exec(output);
    if (found === null) continue;
    child.stdout?.resume();
    return found;
  }
  throw new Error(`It ended without a word of where it serves: ${output}`);
}

/** One worker process of nginx with proxy_cache, its log off. @param directives of its server */
export async function startNginx(
  dir: string,
  originUrl: string,
  directives = '',
): Promise<DiskServer> {
  const port = await freePort();
  const config = join(dir, 'nginx.conf');
  await writeFile(
    config,
    `daemon off;
master_process off;
error_log stderr error;
pid ${dir}/nginx.pid;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_temp_path ${dir}/body;
  proxy_temp_path ${dir}/temp;
  proxy_cache_path ${dir}/cache levels=1:2 keys_zone=bench:100m max_size=8g inactive=1d use_temp_path=off;
  sendfile on;
  upstream origin { server ${new URL(originUrl).host}; keepalive 64; }
  server {
    listen 127.0.0.1:${port};
    keepalive_requests 1000000;
    ${directives}
    location / {
      proxy_pass http://origin;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_cache bench;
    }
  }
}
`,
  );
  const child = spawn('nginx', ['-p', dir, '-c', config, '-e', 'stderr'], { stdio: 'ignore' });
  await accepts(port);
  return {
    url: `http://127.0.0.1:${port}`,
    // It answers the end of the content once it is in its file.
    written: async () => undefined,
    cpuMs: () => cpuMsOf(child.pid as number),
    async close() {
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    },
  };
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

export async function accepts(port: number, name = 'nginx'): Promise<void> {
  for (let i = 0; i < 1000; i++) {
    const isThere = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => resolve(true));
      socket.once('error', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
    if (isThere) return;
    await sleep(10);
  }
  throw new Error(`${name} does not listen; apt-get install ${name}`);
}
