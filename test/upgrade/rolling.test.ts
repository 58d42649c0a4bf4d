import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Agent } from 'undici';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '#test/eventually.ts';
import { LongRunning } from '#test/e2e/canopy.ts';
import { MixedNetwork, previousBuild } from './network.ts';

// A network of the previous build is upgraded process by process, while clients ask for pages.

const HOST = 'film.test';
const PAGES = 40;
const CLIENTS = 4;
const ROUTERS = ['router-1', 'router-2'];
const MID_TIERS = ['mid-tier-1', 'mid-tier-2'];
const EDGES = ['edge-1', 'edge-2'];

/** What the origin says now, and what every purge that is complete has made the least that may be served. */
let version = 1;
let purged = 1;
const origin = createServer((incoming, outgoing) => {
  outgoing.setHeader('Cache-Control', 'max-age=3600').end(`${incoming.url} ${version}`);
});

const agent = new Agent({ connections: CLIENTS });
let root: string;
let previous: string;
let network: MixedNetwork;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'canopy-upgrade-'));
  origin.listen(0, '127.0.0.1');
  await once(origin, 'listening');
  previous = await previousBuild(join(root, 'previous'));
  network = new MixedNetwork(root, previous);
  await network.startControlPlane();
  const { port } = origin.address() as AddressInfo;
  await network.api('PUT', '/v1/sites/film', {
    name: 'film',
    // Edges of the previous build send the checks of routers on to the site of any host.
    hosts: [HOST, '*'],
    origin: { kind: 'pull', servers: [{ url: `http://127.0.0.1:${port}` }] },
  });
  const cached = ['--workers', '1'];
  await Promise.all([
    ...ROUTERS.map((name) => network.startNode('router', name, ['--dns', '127.0.0.1:0'])),
    ...MID_TIERS.map((name) => network.startNode('mid-tier', name, cached)),
    ...EDGES.map((name) => network.startNode('edge', name, cached)),
  ]);
  for (const router of ROUTERS) await names(router, EDGES);
});
afterAll(async () => {
  await network.stop();
  origin.closeAllConnections();
  origin.close();
  await agent.destroy();
  await rm(root, { recursive: true, force: true, maxRetries: 10 });
});

async function get(base: string, path: string): Promise<{ status: number; text: string }> {
  const options = { origin: base, path, method: 'GET', headers: { host: HOST } } as const;
  const { statusCode, body } = await agent.request(options);
  return { status: statusCode, text: await body.text() };
}

/** The edges that a router names, in order of their names. */
async function named(router: string): Promise<string[]> {
  const { text } = await get(network.urlOf(router), `/.canopy/route?url=http://${HOST}/`);
  const { edges } = JSON.parse(text) as { readonly edges: readonly { readonly name: string }[] };
  return edges.map(({ name }) => name).toSorted();
}

/** Waits until a router names these edges and no others. */
const names = (router: string, edges: readonly string[]): Promise<void> =>
  eventually(async () => {
    const now = await named(router);
    if (now.join() !== edges.join()) throw new Error(`${router} names ${now.join()}`);
  });

/** The edge that a client goes to: the first router that is there says which. */
async function chosen(turn: number): Promise<string> {
  for (const router of ROUTERS) {
    const edges = await named(router).catch(() => []);
    if (edges.length > 0) return edges[turn % edges.length] ?? '';
  }
  throw new Error('No router names an edge');
}

/** Clients that never stop asking. */
class Load {
  readonly failures: string[] = [];
  answered = 0;
  #stopped = false;
  readonly #turns = Array.from({ length: CLIENTS }, () => 0);
  readonly #running: Promise<void>[];

  constructor() {
    this.#running = this.#turns.map((_, client) => this.#run(client));
  }

  /** Resolves once every client has had an answer to what it began to ask since. */
  async round(): Promise<void> {
    const before = [...this.#turns];
    await eventually(() => {
      const isOver = this.#turns.every((turn, client) => turn >= (before[client] ?? 0) + 2);
      if (!isOver) throw new Error('A client has not been answered');
    });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#running);
  }

  async #run(client: number): Promise<void> {
    for (let turn = client; !this.#stopped; turn++) {
      const path = `/page/${turn % PAGES}`;
      const least = purged;
      const outcome = await this.#ask(path, turn, least).catch(String);
      if (outcome !== 'right') this.failures.push(`${path}: ${outcome}`);
      this.answered++;
      this.#turns[client] = (this.#turns[client] ?? 0) + 1;
    }
  }

  async #ask(path: string, turn: number, least: number): Promise<string> {
    const edge = await chosen(turn);
    const { status, text } = await get(network.urlOf(edge), path);
    const [said, of] = text.split(' ');
    if (status !== 200 || said !== path) return `${edge} answered ${status}: ${text}`;
    return Number(of) >= least ? 'right' : `${edge} served ${of}, of which ${least} was purged`;
  }
}

/** Changes all pages and purges them; every node in service has to say that it has heeded it. */
async function publish(): Promise<void> {
  version += 1;
  const { id } = await network.api('POST', '/v1/purges', { site: 'film' });
  const purge = await network.api('GET', `/v1/purges/${String(id)}?waitMs=30000`);
  expect(purge).toMatchObject({ status: 'complete' });
  const nodes = purge['nodes'] as readonly { readonly node: string; readonly status: string }[];
  const acknowledged = nodes.filter(({ status }) => status === 'acknowledged');
  expect(acknowledged.map(({ node }) => node).toSorted()).toEqual([...EDGES, ...MID_TIERS]);
  purged = version;
}

async function drained(name: string, load: Load, upgrade: () => Promise<void>): Promise<void> {
  await network.api('POST', `/v1/nodes/${name}/drain`);
  const others = EDGES.filter((edge) => edge !== name);
  for (const router of EDGES.includes(name) ? ROUTERS : []) {
    await names(router, others);
  }
  await load.round();
  await upgrade();
  await network.api('POST', `/v1/nodes/${name}/resume`);
  for (const router of EDGES.includes(name) ? ROUTERS : []) {
    await names(router, EDGES);
  }
}

test('no request fails and every purge is heeded, whichever processes are of the new build', async () => {
  const load = new Load();
  try {
    await load.round();
    await publish();
    await network.upgrade('control-plane');
    await eventually(publish);
    for (const router of ROUTERS) {
      await network.upgrade(router);
      await load.round();
    }
    await eventually(publish);
    for (const name of [...MID_TIERS, ...EDGES]) {
      await drained(name, load, () => network.upgrade(name));
      await eventually(publish);
      await load.round();
    }
  } finally {
    await load.stop();
  }
  expect(load.failures).toEqual([]);
  expect(load.answered).toBeGreaterThan(CLIENTS * 10);
});

test('a new node does not start on a control plane of the previous build, and says what to do', async () => {
  const old = new MixedNetwork(join(root, 'old'), previous);
  try {
    await old.startControlPlane();
    const { credential } = await old.api('PUT', '/v1/nodes/edge-1', {
      name: 'edge-1',
      tier: 'edge',
      location: { name: 'oslo', latitude: 59.91, longitude: 10.75 },
      url: 'http://127.0.0.1:1',
    });
    const edge = new LongRunning(
      ['edge', '--name', 'edge-1', '--control-plane', old.urlOf('control-plane')].concat([
        '--dir',
        join(root, 'old', 'edge-1'),
        '--listen',
        '127.0.0.1:0',
        '--admin',
        '127.0.0.1:0',
      ]),
      { environment: { CANOPY_CREDENTIAL: String(credential) } },
    );
    await expect(edge.says('serving on')).rejects.toThrow(
      /speaks contract 1, this node 2: upgrade the control planes before their nodes \(contract-unsupported\)/,
    );
  } finally {
    await old.stop();
  }
});
