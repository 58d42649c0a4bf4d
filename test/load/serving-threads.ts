import { createServer, get, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { pino } from 'pino';
import { systemClock } from '#core/clock.ts';
import type { Config } from '#core/contract/event.ts';
import { siteSchema } from '#core/contract/site.ts';
import { NodeLease } from '#core/node/lease.ts';
import { Threads } from '#core/serving/threads.ts';

/** A node of real worker threads, without a control plane. */
export class ThreadedNode {
  readonly #threads: Threads;
  readonly tier: 'edge' | 'mid-tier';
  readonly name: string;
  url = '';

  constructor(tier: 'edge' | 'mid-tier', name: string, count: number) {
    const lease = new NodeLease(systemClock);
    lease.granted(systemClock.monotonicMs(), 600_000);
    this.tier = tier;
    this.name = name;
    this.#threads = new Threads({
      module: new URL(`../../${tier}/worker.ts`, import.meta.url),
      count,
      data: {
        name,
        tier,
        memoryBytes: 64 * 1024 ** 2,
        spill: { dir: tmpdir(), bytes: 0 },
        lease: lease.memory,
      },
      log: pino({ level: 'silent' }),
    });
  }

  async start(config: Config): Promise<void> {
    await this.#threads.apply(config, undefined, false);
    this.url = await this.#threads.listen('127.0.0.1', 0);
  }

  close(): Promise<void> {
    return this.#threads.close(0);
  }
}

/** The nodes' configuration: one site, pulled from `originUrl`. */
export const configOf = (originUrl: string, midTiers: readonly ThreadedNode[]): Config => ({
  journal: 'j',
  sequence: 1,
  network: { tierKey: 'a key for tests only' },
  bans: [],
  certificates: [],
  sites: [
    siteSchema.parse({
      name: 'site',
      hosts: ['*'],
      origin: { kind: 'pull', servers: [{ url: originUrl }] },
    }),
  ],
  nodes: midTiers.map(({ name, url }) => ({
    name,
    tier: 'mid-tier',
    url,
    location: { name, latitude: 0, longitude: 0 },
    capacity: 1,
    draining: false,
  })),
});

/** An origin that holds its answers back until `open` is called. */
export class HeldOrigin {
  readonly #server: Server;
  readonly #opened = Promise.withResolvers<void>();
  readonly #asked = Promise.withResolvers<void>();
  readonly requests: string[] = [];
  url = '';

  constructor(body: Buffer) {
    this.#server = createServer((incoming, outgoing) => {
      this.requests.push(`${incoming.method} ${incoming.url}`);
      this.#asked.resolve();
      void this.#opened.promise.then(() =>
        outgoing.writeHead(200, { 'Cache-Control': 'max-age=600' }).end(body),
      );
    });
  }

  get asked(): Promise<void> {
    return this.#asked.promise;
  }

  open(): void {
    this.#opened.resolve();
  }

  async start(): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

/** One client over a connection of its own. */
export class LoadClient {
  readonly #sent = Promise.withResolvers<void>();
  readonly #got = Promise.withResolvers<string>();

  constructor(url: string) {
    const outgoing = get(url, { agent: false }, (incoming) => {
      let bytes = 0;
      incoming.on('data', (chunk: Buffer) => (bytes += chunk.length));
      incoming.once('error', this.#got.reject);
      incoming.once('end', () => this.#got.resolve(`${incoming.statusCode} ${bytes}`));
    });
    outgoing.once('finish', this.#sent.resolve);
    outgoing.once('error', this.#got.reject);
  }

  /** The request is on its way. */
  get sent(): Promise<void> {
    return this.#sent.promise;
  }

  /** Status and length of what came. */
  get got(): Promise<string> {
    return this.#got.promise;
  }
}
