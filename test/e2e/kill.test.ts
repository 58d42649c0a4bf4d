import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { Agent } from 'undici';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RunningUp } from './canopy.ts';

// kill -9 of one node after the other under load: every request is answered, with the right bytes.

const CLIENTS = 12;
const OBJECTS = 150;
/** Requests answered between one kill and the next. */
const ROUND = 400;

const agent = new Agent({ connections: 32 });
let root: string;
let server: Server;
let up: RunningUp;

/** Of many sizes, each of its own bytes; every tenth is large. */
const bodyOf = (index: number): Buffer =>
  Buffer.alloc(index % 10 === 0 ? 3_000_000 + index : 500 + index * 37, `object ${index};`);

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'canopy-kill-'));
  server = createServer((incoming, outgoing) => {
    const body = bodyOf(Number(/\d+/.exec(incoming.url ?? '')?.[0] ?? 0));
    // Short freshness keeps the tiers busy with one another; half have no strong validator.
    outgoing.setHeader('Cache-Control', 'max-age=1');
    if (body.length % 2 === 0) outgoing.setHeader('ETag', `"${body.length}"`);
    if (incoming.headers['if-none-match'] === `"${body.length}"`) outgoing.writeHead(304).end();
    else outgoing.end(body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  up = await RunningUp.start(join(root, 'state'), '--pull', `http://127.0.0.1:${port}`);
});

afterAll(async () => {
  await up.end('SIGKILL');
  await agent.close();
  server.closeAllConnections();
  server.close();
  await rm(root, { recursive: true, force: true });
});

describe('kill -9 under load', () => {
  test('of any one node loses no request', async () => {
    const load = new Load(up.ready.edges.map(({ url }) => url));
    const clients = Array.from({ length: CLIENTS }, (_, i) => load.run(i));
    await load.answered(ROUND);
    for (const { pid, url } of [...up.ready.midTiers, ...up.ready.edges.slice(0, 1)]) {
      load.mayFail.add(url);
      process.kill(pid, 'SIGKILL');
      await load.answered(ROUND);
    }
    load.stop();
    await Promise.all(clients);
    expect(load.failures).toEqual([]);
  }, 60_000);

  test('of the origin leaves what is cached', async () => {
    const edge = up.ready.edges[1]?.url ?? '';
    const small = Array.from({ length: OBJECTS }, (_, i) => i).filter((i) => i % 10 !== 0);
    for (const index of small) expect(await get(edge, index)).toBe('right');
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
    for (const index of small) expect(await get(edge, index)).toBe('right');
  }, 60_000);
});

async function get(edge: string, index: number): Promise<string> {
  const { statusCode, body } = await agent.request({
    origin: edge,
    path: `/${index}`,
    method: 'GET',
  });
  const received = await buffer(body);
  if (statusCode !== 200) return `status ${statusCode}`;
  return received.equals(bodyOf(index)) ? 'right' : `${received.length} wrong bytes`;
}

/** Clients that know every edge, and ask another where the one that was killed fails them. */
class Load {
  readonly failures: string[] = [];
  /** Edges whose failure is no failure of the network. */
  readonly mayFail = new Set<string>();
  readonly #edges: readonly string[];
  #answered = 0;
  #stopped = false;
  #waiting: { readonly until: number; readonly resolve: () => void } | undefined;

  constructor(edges: readonly string[]) {
    this.#edges = edges;
  }

  async run(client: number): Promise<void> {
    for (let i = client; !this.#stopped; i += 7) {
      const outcome = await this.#request(i % OBJECTS, i % this.#edges.length);
      if (outcome !== 'right') this.failures.push(`/${i % OBJECTS}: ${outcome}`);
      this.#answered++;
      if (this.#waiting !== undefined && this.#answered >= this.#waiting.until) {
        this.#waiting.resolve();
      }
    }
  }

  /** Resolves when so many more requests have been answered. */
  answered(count: number): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting = { until: this.#answered + count, resolve };
    });
  }

  stop(): void {
    this.#stopped = true;
  }

  async #request(index: number, first: number): Promise<string> {
    const order = [...this.#edges.slice(first), ...this.#edges.slice(0, first)];
    for (const edge of order) {
      try {
        return await get(edge, index);
      } catch (error) {
        if (!this.mayFail.has(edge)) return `${edge}: ${String(error)}`;
      }
    }
    return 'no edge is left';
  }
}
