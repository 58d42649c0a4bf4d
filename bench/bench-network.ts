import { once } from 'node:events';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { pino } from 'pino';
import { Agent, request } from 'undici';
import { delay, systemClock } from '#core/clock.ts';
import { NodeLink } from '#core/node/link.ts';

const TOKEN = 'token-of-the-benchmark';
const SITE = {
  hosts: ['*'],
  origin: { kind: 'pull', servers: [{ url: 'http://127.0.0.1:2' }] },
};
const LOAD = {
  requests: 0,
  hits: 0,
  hitBytes: 0,
  upstreamRequests: 0,
  bytesSent: 0,
  objects: 0,
  storedBytes: 0,
  connections: 0,
  tunnels: 0,
};

/** A real control plane over SQLite, with nodes that have no cache: their links are the real ones. */
export class BenchNetwork {
  readonly #thread: Worker;
  readonly #url: string;
  readonly #dir: string;
  readonly #agent = new Agent({ headersTimeout: 0, connections: 64 });
  #links: NodeLink[] = [];

  private constructor(thread: Worker, url: string, dir: string) {
    this.#thread = thread;
    this.#url = url;
    this.#dir = dir;
  }

  /** @param dir of its state, which may hold one already */
  static async start(dir: string): Promise<BenchNetwork> {
    const module = new URL('./control-plane-thread.ts', import.meta.url);
    const thread = new Worker(module, { workerData: { dir, adminToken: TOKEN } });
    const [url] = (await once(thread, 'message')) as [string];
    return new BenchNetwork(thread, url, dir);
  }

  async call(method: 'GET' | 'POST' | 'PUT', path: string, body?: object): Promise<unknown> {
    const answer = await request(new URL(path, this.#url), {
      method,
      dispatcher: this.#agent,
      headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
      body: body === undefined ? null : JSON.stringify(body),
    });
    const text = await answer.body.text();
    if (answer.statusCode >= 300) throw new Error(`${path}: ${answer.statusCode} ${text}`);
    return JSON.parse(text);
  }

  addSite(name: string): Promise<unknown> {
    return this.call('PUT', `/v1/sites/${name}`, SITE);
  }

  /** Makes the one site have these settings. Resolves when every node has applied that. */
  async configure(name: string, settings: object): Promise<void> {
    const sites = [{ name, ...SITE, ...settings }];
    const { version } = (await this.call('POST', '/v1/config', { sites })) as {
      version: { number: number };
    };
    const path = `/v1/config/versions/${version.number}?waitMs=60000`;
    const { nodes } = (await this.call('GET', path)) as { nodes: { status: string }[] };
    const applied = nodes.filter(({ status }) => status === 'applied').length;
    if (applied === this.#links.length) return;
    throw new Error(`Version ${version.number} is applied by ${applied} nodes`);
  }

  /** A node that is linked and in service. @param onFence told of every event applied */
  async addNode(name: string, onFence: (sequence: number) => void = () => {}): Promise<NodeLink> {
    const location = { name: 'bench', latitude: 0, longitude: 0 };
    const node = { tier: 'edge', location, url: 'http://127.0.0.1:1' };
    const answer = (await this.call('PUT', `/v1/nodes/${name}`, node)) as { credential: string };
    const link = new NodeLink({
      controlPlaneUrls: [this.#url],
      credential: answer.credential,
      dir: join(this.#dir, name),
      clock: systemClock,
      log: pino({ level: 'silent' }),
      load: () => LOAD,
      checkSite: () => undefined,
      onConfig: async (config, event) => {
        onFence(config.sequence);
        if (event?.type !== 'purge') return undefined;
        return { sequence: event.sequence, objects: 1, bytes: 1, fills: 0 };
      },
    });
    this.#links.push(link);
    await link.start();
    while (link.lease.ended()) await delay(systemClock, 5);
    return link;
  }

  /** Orders a purge. @returns its id */
  async purge(order: object): Promise<string> {
    return ((await this.call('POST', '/v1/purges', order)) as { id: string }).id;
  }

  /** Resolves when it is complete. */
  async complete(id: string): Promise<void> {
    const path = `/v1/purges/${id}?waitMs=60000`;
    const { status, nodes } = (await this.call('GET', path)) as {
      status: string;
      nodes: { status: string }[];
    };
    const acknowledged = nodes.filter((node) => node.status === 'acknowledged').length;
    if (status === 'complete' && acknowledged === this.#links.length) return;
    throw new Error(`Purge ${id} is ${status}, acknowledged by ${acknowledged}`);
  }

  async close(): Promise<void> {
    await Promise.all(this.#links.map((link) => link.stop()));
    await this.#agent.destroy();
    const ended = once(this.#thread, 'exit');
    this.#thread.postMessage('stop');
    await ended;
  }
}
