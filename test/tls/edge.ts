import { X509Certificate } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { pino } from 'pino';
import { onTestFinished } from 'vitest';
import { systemClock } from '#core/clock.ts';
import { recordUnreadable } from '#core/serving/record.ts';
import type { ThreadLog } from '#core/telemetry/access-log/thread-log.ts';
import type { CertificateMaterial, Challenge } from '#core/contract/certificate.ts';
import type { Config, JournalEntry } from '#core/contract/event.ts';
import { type SiteInput, siteSchema } from '#core/contract/site.ts';
import { applyEvent } from '#core/node/config.ts';
import { Clients } from '#core/serving/clients/clients.ts';
import { type ClientLimits, DEFAULT_LIMITS } from '#core/serving/clients/limits.ts';
import { listen, type Listener } from '#core/serving/listener.ts';
import { TierNode } from '#core/serving/tier-node.ts';
import { CertificateKeeper } from '#core/serving/tls/keeper.ts';
import type { UnknownNamePolicy } from '#core/serving/tls/messages.ts';
import { ThreadTls } from '#core/serving/tls/thread-tls.ts';
import type { OnUnreadable } from '#core/serving/unreadable.ts';
import { serveClients } from '#edge/request.ts';
import type { Issued } from './authority.ts';

type Refused = Parameters<OnUnreadable>;

interface EdgeOptions {
  /** What the site's origin answers; by default `hello` that may be kept. */
  readonly origin?: RequestListener;
  /** What it does with a connection that asks for another protocol. */
  readonly upgrade?: (incoming: IncomingMessage, socket: Duplex) => void;
  readonly unknownName?: UnknownNamePolicy;
  readonly site?: Partial<SiteInput>;
  readonly accessLog?: ThreadLog;
  readonly trustedProxies?: readonly string[];
  /** Of an edge that was there before. */
  readonly dir?: string;
  /** What its clients may have, over the defaults. */
  readonly limits?: Partial<ClientLimits>;
}

export const HOST = 'www.example.org';

/** An edge that serves TLS in this process: what a thread runs, and what the main thread keeps for it. */
export class TlsEdge {
  readonly dir: string;
  readonly errors: unknown[] = [];
  readonly node: TierNode;
  readonly keeper: CertificateKeeper;
  /** Names of certificates that the control plane was asked for. */
  readonly fetched: string[] = [];
  /** Whether the control plane answers. */
  isLinked = true;
  readonly #material = new Map<string, CertificateMaterial>();
  readonly #tls: ThreadTls;
  readonly #originUrl: string;
  readonly #site: Partial<SiteInput>;
  #config: Config;
  #listeners: readonly Listener[] = [];

  private constructor(
    dir: string,
    originUrl: string,
    { unknownName = 'default', site = {}, accessLog, trustedProxies = [] }: EdgeOptions,
  ) {
    this.dir = dir;
    this.#originUrl = originUrl;
    this.#site = site;
    this.keeper = new CertificateKeeper({
      dir,
      clock: systemClock,
      log: pino({ level: 'silent' }),
      fetch: async (name) => {
        if (!this.isLinked) throw new Error('The control plane is away');
        this.fetched.push(name);
        return this.#material.get(name);
      },
    });
    this.node = new TierNode({
      name: 'oslo',
      tier: 'edge',
      clock: systemClock,
      memoryBytes: 64 * 1024 * 1024,
      lease: { ended: () => false },
      accessLog,
      trustedProxies,
    });
    const onError = (error: unknown): void => void this.errors.push(error);
    this.keeper.tell('ticket-secret', { type: 'ticket-secret', secret: 'a secret of the fleet' });
    this.#tls = new ThreadTls({ port: this.keeper.connect(), unknownName }, this.node, onError);
    this.#config = {
      journal: 'j',
      sequence: 1,
      network: { tierKey: 'a key for tests only' },
      sites: [],
      nodes: [],
      bans: [],
      certificates: [],
    };
  }

  static async start(options: EdgeOptions = {}): Promise<TlsEdge> {
    const origin = createServer(
      options.origin ??
        ((_, outgoing) => outgoing.setHeader('Cache-Control', 'max-age=60').end('hello')),
    );
    if (options.upgrade !== undefined) origin.on('upgrade', options.upgrade);
    await new Promise<void>((resolve) => void origin.listen(0, '127.0.0.1', resolve));
    const { port } = origin.address() as AddressInfo;
    const dir = options.dir ?? (await mkdtemp(join(tmpdir(), 'canopy-tls-')));
    const edge = new TlsEdge(dir, `http://127.0.0.1:${port}`, options);
    edge.node.apply(edge.#config, undefined, false);
    edge.changeSite({});
    const { handle, lane } = serveClients(edge.node, (error) => void edge.errors.push(error));
    const place = {
      host: '127.0.0.1',
      port: 0,
      handle,
      lane,
      onError: (error: unknown) => void edge.errors.push(error),
      onUnreadable: (...refused: Refused) => recordUnreadable(edge.node, ...refused),
      clients: new Clients({ ...DEFAULT_LIMITS, ...options.limits }),
    };
    edge.#listeners = await Promise.all([listen(place), edge.#tls.listen(place)]);
    onTestFinished(async () => {
      await edge.stop(0);
      origin.closeAllConnections();
      origin.close();
      await rm(dir, { recursive: true, force: true, maxRetries: 10 });
    });
    return edge;
  }

  async stop(graceMs: number): Promise<void> {
    const listeners = this.#listeners;
    this.#listeners = [];
    await Promise.all(listeners.map((listener) => listener.close(graceMs)));
    this.#tls.close();
    await this.keeper.close();
    await this.node.close();
  }

  get handshakes() {
    return this.#tls.handshakes;
  }
  get port(): number {
    return this.node.tlsPort ?? 0;
  }
  get plainUrl(): string {
    return this.#listeners[0]?.url ?? '';
  }
  get activity() {
    return this.#listeners[1]?.activity();
  }

  publish(entry: JournalEntry): void {
    const event = { ...entry, sequence: this.#config.sequence + 1, at: Date.now() };
    this.#config = applyEvent(this.#config, event);
    this.node.apply(this.#config, event, false);
    this.#tls.heed(event);
    if (entry.type.startsWith('certificate')) this.keeper.heed(this.#config.certificates);
  }

  changeSite(change: Partial<SiteInput>, name = 'site'): void {
    const site = siteSchema.parse({
      name,
      hosts: [HOST],
      origin: { kind: 'pull', servers: [{ url: this.#originUrl }] },
      ...this.#site,
      ...change,
    });
    this.publish({ type: 'site.put', site });
  }

  challenges(challenges: Challenge[]): void {
    this.publish({ type: 'network.put', network: { ...this.#config.network, challenges } });
  }

  /** @param site see `CertificateEntry` */
  certify(name: string, { cert, key }: Issued, site: string | null = null): void {
    const leaf = new X509Certificate(cert);
    const fingerprint = leaf.fingerprint256.replaceAll(':', '').toLowerCase();
    this.#material.set(name, { name, fingerprint, chain: cert, key });
    const names = [...(leaf.subjectAltName ?? '').matchAll(/DNS:([^,]+)/g)].map(([, n]) => n ?? '');
    const notAfter = Date.parse(leaf.validTo);
    this.publish({
      type: 'certificate.put',
      certificate: { name, site, names, notAfter, fingerprint },
    });
  }

  material(name: string): CertificateMaterial {
    const material = this.#material.get(name);
    if (material === undefined) throw new Error(`There is no certificate ${name}`);
    return material;
  }

  /** A connection whose handshake is done. */
  connect(options: ConnectionOptions): Promise<TLSSocket> {
    return connected({ host: '127.0.0.1', port: this.port, ...options });
  }
}

export function connected(options: ConnectionOptions): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect(options, () => resolve(socket));
    socket.on('error', reject);
    onTestFinished(() => void socket.destroy());
  });
}

/** One request of HTTP/1.1 on a connection; the whole answer as text. */
export async function ask(socket: TLSSocket, path = '/', host = HOST): Promise<string> {
  socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  let text = '';
  for await (const chunk of socket as AsyncIterable<Buffer>) text += chunk.toString('latin1');
  return text;
}
