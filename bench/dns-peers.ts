import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Where the edges are of which each server names the nearest. */
export const EDGES = [
  ['oslo', 59.91, 10.75],
  ['rome', 41.9, 12.5],
  ['lisbon', 38.72, -9.14],
  ['new-york', 40.71, -74.01],
  ['tokyo', 35.68, 139.69],
] as const;

/** What a server is to answer from. */
export interface Task {
  /** A directory of its own. */
  readonly dir: string;
  /** In MaxMind's format, of type GeoIP2-City. */
  readonly database: string;
  readonly port: number;
}

export interface Peer {
  readonly name: string;
  readonly start: (task: Task) => Promise<ChildProcess>;
}

const quiet = { stdio: 'ignore' } as const;
const addressOf = (place: number): string => `198.18.0.${place + 1}`;

export const canopy = (workers: number): Peer => ({
  name: `canopy, ${workers} ${workers === 1 ? 'thread' : 'threads'}`,
  start: async ({ database, port }) => {
    const edges = EDGES.map(([name, latitude, longitude], place) => ({
      name,
      tier: 'edge',
      location: { name, latitude, longitude },
      url: `http://${addressOf(place)}`,
    }));
    const args = ['--database', database, '--port', String(port), '--workers', String(workers)];
    const module = fileURLToPath(new URL('./dns-router.ts', import.meta.url));
    const child = fork(module, [...args, '--edges', JSON.stringify(edges)]);
    await once(child, 'message');
    return child;
  },
});

/** No DNS server: what node:dgram takes to get a packet and send one. */
export const echo: Peer = {
  name: 'node:dgram alone',
  start: async ({ port }) => {
    const child = fork(fileURLToPath(new URL('./dns-echo.ts', import.meta.url)), [String(port)]);
    await once(child, 'message');
    return child;
  },
};

/** Its geoip plugin, which finds the nearest datacenter by the city's coordinates, with one UDP thread. */
export const gdnsd: Peer = {
  name: 'gdnsd',
  start: async ({ dir, database, port }) => {
    await mkdir(join(dir, 'zones'), { recursive: true });
    const names = EDGES.map(([name]) => name).join(', ');
    const places = EDGES.map(([name, ...at]) => `${name} => [${at.join(', ')}]`).join(', ');
    const addresses = EDGES.map(([name], place) => `${name} => ${addressOf(place)}`).join(', ');
    const config = `
options => { listen => [ 127.0.0.1:${port} ], udp_threads => 1, tcp_threads => 1,
  run_dir => ${dir}/run, state_dir => ${dir}/state }
plugins => { geoip => {
  maps => { m => { geoip2_db => ${database}, datacenters => [ ${names} ],
    auto_dc_coords => { ${places} } } }
  resources => { film => { map => m, service_types => up, dcmap => { ${addresses} } } }
} }
`;
    await writeFile(join(dir, 'config'), config);
    const zone = `@ 30 SOA ns1 hostmaster 1 3600 600 86400 30\n@ 3600 NS ns1\nns1 3600 A 127.0.0.1\nfilm 30 DYNA geoip!film\n`;
    await writeFile(join(dir, 'zones', 'cdn.example'), zone);
    return spawn('gdnsd', ['-c', dir, 'start'], quiet);
  },
};

/** Its geoip backend, which finds an address by the client's country, with its caches as they come. */
export const powerdns: Peer = {
  name: 'PowerDNS geoip',
  start: async ({ dir, database, port }) => {
    await mkdir(dir, { recursive: true });
    const zones = {
      domains: [
        {
          domain: 'cdn.example',
          ttl: 30,
          records: {
            'cdn.example': [
              { soa: 'ns1.cdn.example hostmaster.cdn.example 1 3600 600 86400 30' },
              { ns: 'ns1.cdn.example' },
            ],
            'no.country.cdn.example': [{ a: addressOf(0) }],
            'it.country.cdn.example': [{ a: addressOf(1) }],
          },
          services: { 'film.cdn.example': ['%cc.country.cdn.example'] },
        },
      ],
    };
    await writeFile(join(dir, 'zones.yaml'), JSON.stringify(zones));
    const settings = {
      launch: 'geoip',
      'geoip-database-files': `mmdb:${database}`,
      'geoip-zones-file': join(dir, 'zones.yaml'),
      'local-address': '127.0.0.1',
      'local-port': port,
      'socket-dir': dir,
      'config-dir': dir,
      'edns-subnet-processing': 'yes',
      'receiver-threads': 1,
      'distributor-threads': 1,
      daemon: 'no',
      guardian: 'no',
    };
    const args = Object.entries(settings).map(([name, value]) => `--${name}=${value}`);
    return spawn('pdns_server', args, quiet);
  },
};
