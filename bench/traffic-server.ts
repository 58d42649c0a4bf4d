import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from './disk-servers.ts';
import { type HitContender, MEMORY_MIB, started } from './hit-servers.ts';

const SETTINGS = {
  'exec_thread.autoconfig': 0,
  'exec_thread.limit': 1,
  accept_threads: 0,
  'cache.ram_cache.size': MEMORY_MIB * 1024 ** 2,
  'log.logging_enabled': 0,
  'url_remap.remap_required': 1,
  'net.connections_throttle': 20_000,
  'net.listen_backlog': 1024,
};

export const trafficServer: HitContender = {
  name: 'Traffic Server',
  command: 'traffic_server',
  aptPackage: 'trafficserver',
  async start({ dir, originUrl, certificate, pinned }) {
    const [port, tlsPort] = [await freePort(), await freePort()];
    const at = (name: string): string => join(dir, name);
    const dirs = ['etc', 'log', 'run', 'cache'];
    for (const name of dirs) await mkdir(at(name));
    const [, log, run, cache] = dirs.map(at);
    const layout = {
      prefix: dir,
      exec_prefix: '/usr',
      bindir: '/usr/bin',
      sbindir: '/usr/sbin',
      sysconfdir: at('etc'),
      datadir: cache,
      includedir: '/usr/include',
      libdir: '/usr/lib/trafficserver',
      libexecdir: '/usr/lib/trafficserver/modules',
      localstatedir: run,
      runtimedir: run,
      logdir: log,
      mandir: '/usr/share/man',
      infodir: '/usr/share/info',
      cachedir: cache,
    };
    const numbers = Object.entries(SETTINGS).map(([name, value]) => ['INT', name, value] as const);
    const strings = [
      ['STRING', 'http.server_ports', `127.0.0.1:${port} 127.0.0.1:${tlsPort}:ssl`],
      ['STRING', 'ssl.server.cert.path', '/'],
      ['STRING', 'ssl.server.private_key.path', '/'],
      // Stays who it is started by, also where that is root.
      ['STRING', 'admin.user_id', '#-1'],
    ] as const;
    const { chainFile, keyFile } = certificate;
    const files = {
      'runroot.yaml': linesOf(layout, ([name, path]) => `${name}: ${path}`),
      'etc/records.config': [...numbers, ...strings]
        .map(([type, name, value]) => `CONFIG proxy.config.${name} ${type} ${value}\n`)
        .join(''),
      'etc/remap.config': `map / ${originUrl}/\n`,
      'etc/storage.config': `${cache} 2G\n`,
      'etc/ssl_multicert.config': `dest_ip=* ssl_cert_name=${chainFile} ssl_key_name=${keyFile}\n`,
    };
    for (const [name, text] of Object.entries(files)) await writeFile(at(name), text);
    // Without it everybody is refused.
    await copyFile('/etc/trafficserver/ip_allow.yaml', at('etc/ip_allow.yaml'));
    const env = { TS_RUNROOT: at('runroot.yaml') };
    return started('trafficserver', [...pinned, 'traffic_server'], port, tlsPort, env);
  },
};

const linesOf = (
  map: Readonly<Record<string, string | undefined>>,
  line: (entry: readonly [string, string | undefined]) => string,
): string =>
  Object.entries(map)
    .map((entry) => `${line(entry)}\n`)
    .join('');
