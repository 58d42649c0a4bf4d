import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { accepts, cpuMsOf, freePort, startEdgeOf } from './disk-servers.ts';

/** A cache that is asked for hits, as a process bound to one core. */
export interface HitServer {
  readonly url: string;
  /** Where it speaks TLS, with HTTP/1.1 and HTTP/2. */
  readonly tlsUrl: string | undefined;
  /** Processor time of the process and its children so far, ms. */
  cpuMs(): Promise<number>;
  /** Memory of the process and its children that is in use, bytes. */
  rssBytes(): Promise<number>;
  close(): Promise<void>;
}

export interface HitContender {
  readonly name: string;
  /** What has to be there, and the Debian package that has it. */
  readonly command: string;
  readonly aptPackage: string;
  start(task: Task): Promise<HitServer>;
}

export interface Task {
  /** A directory of its own. */
  readonly dir: string;
  readonly originUrl: string;
  readonly certificate: Certificate;
  /** What binds a process to the servers' core. */
  readonly pinned: readonly string[];
}

export interface Certificate {
  readonly chainFile: string;
  readonly keyFile: string;
}

/** Memory for objects of each server, which the Zipf load exceeds, MiB. */
export const MEMORY_MIB = 256;

/** For 127.0.0.1, by openssl. */
export function selfSigned(): Certificate {
  const dir = mkdtempSync(join(tmpdir(), 'canopy-bench-tls-'));
  const [chainFile, keyFile] = [join(dir, 'cert.pem'), join(dir, 'key.pem')];
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const names = ['-subj', '/CN=bench.example', '-addext', 'subjectAltName=DNS:bench.example'];
  const files = ['-keyout', keyFile, '-out', chainFile, '-days', '2'];
  execFileSync('openssl', ['req', '-x509', ...key, ...files, ...names], { stdio: 'pipe' });
  return { chainFile, keyFile };
}

/** @param sites all there are; left out: one for every host */
export const canopy = (
  name: string,
  args: readonly string[],
  sites?: readonly object[],
): HitContender => ({
  name,
  command: 'node',
  aptPackage: 'nodejs',
  async start({ dir, originUrl, certificate, pinned }) {
    const edge = await startEdgeOf(dir, originUrl, {
      args: ['--memory', `${MEMORY_MIB}m`, '--disk', '8g', '--disk-keep-free', '1m', ...args],
      command: pinned,
      ...(sites !== undefined && { sites }),
      certificate: {
        chain: readFileSync(certificate.chainFile, 'utf8'),
        key: readFileSync(certificate.keyFile, 'utf8'),
      },
    });
    const { url, tlsUrl } = edge;
    return { url, tlsUrl, ...usageOf(edge.pid), close: () => edge.close() };
  },
});

export const nginx = nginxOf('nginx', 1);

/** @param workers processes that serve */
export function nginxOf(name: string, workers: number): HitContender {
  return {
    name,
    command: 'nginx',
    aptPackage: 'nginx-light',
    async start({ dir, originUrl, certificate, pinned }) {
      const [port, tlsPort] = [await freePort(), await freePort()];
      const config = join(dir, 'nginx.conf');
      await writeFile(
        config,
        `daemon off;
${workers > 1 ? `worker_processes ${workers};` : 'master_process off;'}
${process.getuid?.() === 0 ? 'user root;' : ''}
error_log stderr error;
pid ${dir}/nginx.pid;
events { worker_connections 16384; }
http {
  access_log off;
  client_body_temp_path ${dir}/body;
  proxy_temp_path ${dir}/temp;
  proxy_cache_path ${dir}/cache levels=1:2 keys_zone=bench:100m max_size=8g inactive=1d use_temp_path=off;
  sendfile on;
  open_file_cache max=10000 inactive=60s;
  upstream origin { server ${new URL(originUrl).host}; keepalive 64; }
  server {
    listen 127.0.0.1:${port} backlog=1024;
    listen 127.0.0.1:${tlsPort} ssl http2 backlog=1024;
    ssl_certificate ${certificate.chainFile};
    ssl_certificate_key ${certificate.keyFile};
    keepalive_requests 100000000;
    location / {
      proxy_pass http://origin;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_cache bench;
      proxy_cache_lock on;
      proxy_cache_background_update on;
      proxy_cache_use_stale updating;
      add_header X-Cache $upstream_cache_status;
    }
  }
}
`,
      );
      const nginxLine = ['nginx', '-p', dir, '-c', config, '-e', 'stderr'];
      return started('nginx', [...pinned, ...nginxLine], port, tlsPort);
    },
  };
}

export const varnish: HitContender = {
  name: 'Varnish',
  command: 'varnishd',
  aptPackage: 'varnish',
  async start({ dir, originUrl, pinned }) {
    const port = await freePort();
    const { hostname, port: originPort } = new URL(originUrl);
    const vcl = join(dir, 'bench.vcl');
    await writeFile(
      vcl,
      `vcl 4.1;
backend default { .host = "${hostname}"; .port = "${originPort}"; }
sub vcl_deliver {
  if (obj.hits > 0) { set resp.http.X-Cache = "HIT"; } else { set resp.http.X-Cache = "MISS"; }
}
`,
    );
    const store = `default=file,${join(dir, 'store')},2g`;
    const threads = ['-p', 'thread_pools=1', '-p', 'thread_pool_min=50'];
    const where = [
      '-j',
      'none',
      '-F',
      '-n',
      join(dir, 'work'),
      '-a',
      `127.0.0.1:${port}`,
      '-f',
      vcl,
    ];
    return started('varnish', [...pinned, 'varnishd', ...where, '-s', store, ...threads], port);
  },
};

/** Resolves once it accepts connections. @param env beside that of this process */
export async function started(
  name: string,
  [file = '', ...line]: readonly string[],
  port: number,
  tlsPort?: number,
  env: Readonly<Record<string, string>> = {},
): Promise<HitServer> {
  const child = spawn(file, line, { stdio: 'ignore', env: { ...process.env, ...env } });
  await accepts(port, name);
  return {
    url: `http://127.0.0.1:${port}`,
    tlsUrl: tlsPort === undefined ? undefined : `https://127.0.0.1:${tlsPort}`,
    ...usageOf(child.pid as number),
    async close() {
      const ended = once(child, 'exit');
      // Varnish ends its child only when asked kindly.
      child.kill('SIGTERM');
      await ended;
    },
  };
}

const usageOf = (pid: number): Pick<HitServer, 'cpuMs' | 'rssBytes'> => ({
  cpuMs: () => sumOver(pid, cpuMsOf),
  rssBytes: () =>
    sumOver(pid, async (one) => {
      const status = await readFile(`/proc/${one}/status`, 'utf8');
      return 1024 * Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0);
    }),
});

/** Of a process and its children. */
async function sumOver(pid: number, what: (pid: number) => Promise<number>): Promise<number> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
  const pids = [pid, ...children.split(' ').filter(Boolean).map(Number)];
  const all = await Promise.all(pids.map(what));
  return all.reduce((sum, one) => sum + one, 0);
}
