import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mmdb } from '#test/routing/mmdb.ts';
import { curl, kill, RunningUp } from './canopy.ts';

// Routers as processes of their own, on real processes and real clients.

const run = promisify(execFile);
/** A check, and what waits for it on a crowded machine. */
const SOON = { timeout: 30_000, interval: 100 };

/** Ten processes. */
const START_MS = 90_000;

let root: string;
let up: RunningUp;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'canopy-routing-'));
  await writeFile(join(root, 'site.json'), JSON.stringify({ hosts: ['film.test', '*'] }));
  const site = join(root, 'site.json');
  const cities = join(root, 'cities.mmdb');
  const lisbon = { latitude: 38.72, longitude: -9.14, accuracy_radius: 5 };
  await writeFile(cities, mmdb({ '193.0.6.0/24': { location: lisbon } }));
  const options = ['--routers', '2', '--site', site, '--geo-database', cities];
  up = await RunningUp.start(join(root, 'state'), ...options);
}, START_MS);
afterAll(async () => {
  await up.end('SIGTERM');
  await rm(root, { recursive: true, force: true, maxRetries: 10 });
});

const router = (place: number) => {
  const found = up.ready.routers[place];
  if (found === undefined) throw new Error('There is no such router');
  return found;
};

async function dig(place: number, ...args: readonly string[]): Promise<string> {
  const { host, port } = router(place).dns;
  const { stdout } = await run('dig', [`@${host}`, '-p', String(port), '+time=5', ...args]).catch(
    (error: { stdout: string }) => error,
  );
  return stdout.replaceAll(/[ \t]+/g, ' ');
}

const SIMULATE = ['route', 'simulate', '--site', 'default', '--without', 'edge-oslo', '--clients'];

interface List {
  readonly ttlSeconds: number;
  readonly edges: readonly { readonly name: string; readonly url: string }[];
}

async function list(place: number): Promise<List> {
  const url = `${router(place).url}/route?url=${encodeURIComponent('http://film.test/index.html?a=b')}`;
  return JSON.parse((await curl(url)).body) as List;
}

const explained = async (): Promise<string> =>
  (await up.command('explain', 'route', '--client', '81.2.69.160', '--site', 'default')).stdout;

test('both answer by DNS, HTTP and JSON', async () => {
  for (const place of [0, 1]) {
    expect(await dig(place, 'default.canopy.test', 'A')).toContain('IN A 127.0.0.1');
    expect(await dig(place, 'edge-rome.default.canopy.test', 'A')).toContain('IN A 127.0.0.1');
    const { edges, ttlSeconds } = await list(place);
    expect(edges.map(({ name }) => name).toSorted()).toEqual(
      up.ready.edges.map(({ name }) => name).toSorted(),
    );
    expect(ttlSeconds).toBe(30);
    const { status, fields } = await curl(
      '-H',
      'Host: film.test',
      `${router(place).url}/a/b?c=%20d`,
    );
    expect(status).toBe(302);
    const location = new URL(fields.get('location') ?? '');
    expect(location.hostname).toMatch(/^edge-[a-z]+\.default\.canopy\.test$/);
    expect(location.pathname + location.search).toBe('/a/b?c=%20d');
  }
});

test('a redirected client gets the site’s content, under the key that all have', async () => {
  const [edge] = up.ready.edges;
  const { hostname, port } = new URL(edge?.url ?? '');
  const routed = `${edge?.name}.default.canopy.test`;
  const resolve = ['--resolve', `${routed}:${port}:${hostname}`];
  const first = await curl(...resolve, `http://${routed}:${port}/style.css`);
  expect(first.status).toBe(200);
  const own = await curl('-H', 'Host: film.test', `${edge?.url}/style.css`);
  expect(own.cacheStatus).toContain('; hit');
});

test('explain and simulate', async () => {
  const client = ['--client', '193.0.6.139', '--site', 'default'];
  const placed = await up.command('explain', 'route', ...client);
  expect(placed.stdout).toMatch(/edge-lisbon +[\d.]+ ms +distance +yes/);
  expect(await explained()).toMatch(/edge-oslo +[\d.]+ ms +distance +yes/);
  const clients = join(root, 'clients');
  await writeFile(clients, '# London\n81.2.69.0/24 10\n\n133.11.0.1\n');
  const simulated = await up.command(...SIMULATE, clients);
  expect(simulated.stdout).toContain('of 2 clients move.');
  await writeFile(clients, '81.2.69.0/24 many\n');
  const wrong = await up.command(...SIMULATE, clients);
  expect(wrong.code).toBe(1);
  expect(wrong.stderr).toContain('clients:1: expected an address and a number');
});

test('routers serve on while the control plane does not answer', async () => {
  kill({ ...router(0), pid: up.ready.controlPlane.pid }, 'SIGSTOP');
  try {
    expect(await dig(0, 'default.canopy.test', 'A')).toContain('IN A 127.0.0.1');
    expect((await list(1)).edges.length).toBe(3);
  } finally {
    kill({ ...router(0), pid: up.ready.controlPlane.pid }, 'SIGCONT');
  }
});

/** Changes a site or node as it is configured. */
async function change(path: string, add: object): Promise<void> {
  const { url, token } = up.ready.controlPlane;
  const authorization = ['-H', `Authorization: Bearer ${token}`];
  const { body } = await curl(...authorization, `${url}${path}`);
  const changed = JSON.stringify({ ...(JSON.parse(body) as object), ...add });
  const json = ['-H', 'Content-Type: application/json', '-X', 'PUT', '--data', changed];
  expect((await curl(...authorization, ...json, `${url}${path}`)).status).toBe(200);
}

/** Whether each output of a router says that clients may go to oslo. */
async function naming(place: number) {
  const { fields } = await curl('-H', 'Host: film.test', `${router(place).url}/`);
  return {
    a: (await dig(place, 'default.canopy.test', 'A')).includes(OSLO[0]),
    aaaa: (await dig(place, 'default.canopy.test', 'AAAA')).includes(OSLO[1]),
    https: (await dig(place, 'default.canopy.test', 'HTTPS')).includes(OSLO[0]),
    redirect: fields.get('location')?.includes('edge-oslo') === true,
    list: (await list(place)).edges.some(({ name }) => name === 'edge-oslo'),
  };
}

const OSLO = ['198.18.0.1', '3fff::1'] as const;
const all = (named: boolean) => ({
  a: named,
  aaaa: named,
  https: named,
  redirect: named,
  list: named,
});

test('a zone that is to be signed is, by both routers with the key that its parent is told of', async () => {
  const { url, token } = up.ready.controlPlane;
  const { body } = await curl('-H', `Authorization: Bearer ${token}`, `${url}/v1/routing`);
  const { zones } = JSON.parse(body) as { zones: object[] };
  await change('/v1/routing', { zones: zones.map((zone) => ({ ...zone, dnssec: true })) });
  const { stdout } = await up.command('dnssec', 'ds');
  const [, ds = ''] = /^canopy\.test\. IN DS (\d+ 13 2 [0-9A-F]{64})$/m.exec(stdout) ?? [];
  const [keyTag, algorithm, digestType, digest] = ds.split(' ');
  const anchor = `"canopy.test." static-ds ${keyTag} ${algorithm} ${digestType} "${digest}";`;
  await writeFile(join(root, 'anchors'), `trust-anchors { ${anchor} };`);
  for (const place of [0, 1]) {
    const { host, port } = router(place).dns;
    const trust = ['-a', join(root, 'anchors'), '+root=canopy.test', '-p', String(port)];
    const validated = async (...asked: readonly string[]): Promise<string> => {
      const { stdout: output } = await run('delv', [`@${host}`, ...trust, ...asked]).catch(
        (error: { stdout: string }) => error,
      );
      return output;
    };
    await expect
      .poll(() => validated('default.canopy.test', 'A'), SOON)
      .toContain('; fully validated');
    expect(await validated('none.canopy.test', 'A')).toContain(
      'negative response, fully validated',
    );
  }
});

test('an edge that has died leaves all answers of all routers', async () => {
  await change('/v1/nodes/edge-oslo', { addresses: OSLO });
  // Nothing but oslo's health keeps clients from it, and from the others.
  await change('/v1/sites/default', {
    routing: { alpn: ['h2'], answers: 16, edges: ['edge-oslo'] },
  });
  for (const place of [0, 1]) await expect.poll(() => naming(place), SOON).toEqual(all(true));
  await change('/v1/sites/default', {
    routing: { alpn: ['h2'], answers: 16, edges: up.ready.edges.map(({ name }) => name) },
  });
  for (const place of [0, 1]) {
    await expect.poll(() => list(place).then(({ edges }) => edges.length), SOON).toBe(3);
  }
  const dead = up.ready.edges.find(({ name }) => name === 'edge-oslo');
  kill(dead, 'SIGKILL');
  for (const place of [0, 1]) {
    await expect.poll(() => naming(place), SOON).toEqual(all(false));
    expect((await list(place)).ttlSeconds).toBe(5);
    expect(await dig(place, 'default.canopy.test', 'A')).toMatch(/default\.canopy\.test\. 5 IN A/);
  }
  await expect.poll(explained, SOON).toMatch(/healthy +edge-oslo +(?:down|unreported)/);
  const metrics = await curl(`${router(0).adminUrl}/metrics`);
  expect(metrics.body).toMatch(/canopy_router_edges\{[^}]*condition="down"[^}]*\} 1/);
  expect(metrics.body).toContain('canopy_dns_queries_total{');
});
