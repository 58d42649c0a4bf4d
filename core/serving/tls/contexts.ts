import { createSecureContext, type SecureContext } from 'node:tls';
import type { MessagePort } from 'node:worker_threads';
import { LRUCache } from 'lru-cache';
import type { CertificateEntry, CertificateMaterial } from '#core/contract/certificate.ts';
import { CertificateDirectory, DEFAULT_CERTIFICATE } from './directory.ts';
import type { FromKeeper, ToKeeper, UnknownNamePolicy, WantedCertificate } from './messages.ts';
import { TLS_SETTINGS } from './settings.ts';

/** Certificates that a thread has ready; some 50 KB each. */
const READY = 2_000;
/** How long a certificate that is not to be had is not asked for again. */
const PAUSE_MS = 1_000;

interface Ready {
  readonly material: CertificateMaterial;
  readonly context: SecureContext;
  /** The same for sites that ask who their clients are, by the authorities that these are certified by. */
  readonly asking: Map<string, SecureContext>;
}

interface ContextsOptions {
  readonly port: MessagePort;
  readonly unknownName: UnknownNamePolicy;
  /** The name of the site that a host leads to. */
  readonly siteOf: (host: string) => string | undefined;
  readonly monotonicMs: () => number;
  readonly onError: (error: unknown) => void;
}

/** The certificates of one serving thread, each got ready when a client first asks for it. */
export class TlsContexts {
  readonly #options: ContextsOptions;
  readonly #ready = new LRUCache<string, Ready>({ max: READY });
  readonly #waiting = new Map<string, ((ready: Ready | undefined) => void)[]>();
  /** Until when a certificate is not asked for, by name. */
  readonly #paused = new LRUCache<string, number>({ max: READY });
  readonly #staples = new Map<string, Buffer>();
  readonly #secretWatchers = new Set<(secret: string) => void>();
  /** Made when it is asked: many certificates may change before a client comes. */
  #directory: CertificateDirectory | undefined;
  #entries: readonly CertificateEntry[] = [];
  #secret: string | undefined;
  readonly #defaultWatchers = new Set<(material: CertificateMaterial) => void>();
  #default: CertificateMaterial | undefined;

  constructor(options: ContextsOptions) {
    this.#options = options;
    options.port.on('message', (message: FromKeeper) => this.#receive(message));
    options.port.unref();
  }

  /** Takes over what there is now. A certificate that was replaced is presented until the new one is here. */
  heed(entries: readonly CertificateEntry[]): void {
    if (entries === this.#entries) return;
    this.#entries = entries;
    this.#directory = undefined;
    const byName = new Map(entries.map((entry) => [entry.name, entry]));
    for (const [name, { material }] of this.#ready.entries()) {
      const entry = byName.get(name);
      if (entry === undefined) this.#ready.delete(name);
      else if (entry.fingerprint !== material.fingerprint) this.#want(entry);
    }
    this.#renewDefault();
  }

  /**
   * @param host as the client names it
   * @param authorities PEM, of those who certify the clients; left out where they are not asked
   * @returns `undefined`: nothing is presented
   */
  find(
    host: string,
    authorities?: string,
  ): Promise<SecureContext | undefined> | SecureContext | undefined {
    const entry = this.#entryFor(host);
    if (entry === undefined) return undefined;
    const ready = this.#ready.get(entry.name);
    const isPaused = (this.#paused.get(entry.name) ?? 0) > this.#options.monotonicMs();
    if (ready !== undefined) {
      // The new one was not to be had when it was told of.
      if (ready.material.fingerprint !== entry.fingerprint && !isPaused) this.#want(entry);
      return contextIn(ready, authorities);
    }
    if (isPaused) return undefined;
    return new Promise((resolve) => {
      this.#want(entry, (got) => resolve(got && contextIn(got, authorities)));
    });
  }

  /** What its authority said last of a certificate. @param fingerprint of the leaf, in hexadecimal */
  staple(fingerprint: string): Buffer | undefined {
    return this.#staples.get(fingerprint);
  }

  /** Calls `watcher` with the secret that tickets are sealed with, now and whenever it is another. */
  onSecret(watcher: (secret: string) => void): () => void {
    this.#secretWatchers.add(watcher);
    if (this.#secret !== undefined) watcher(this.#secret);
    return () => this.#secretWatchers.delete(watcher);
  }

  close(): void {
    this.#options.port.close();
  }

  /** Calls `watcher` with what is for clients that name no host, now and whenever it is another. */
  onDefault(watcher: (material: CertificateMaterial) => void): () => void {
    this.#defaultWatchers.add(watcher);
    if (this.#default !== undefined) watcher(this.#default);
    return () => this.#defaultWatchers.delete(watcher);
  }

  #renewDefault(): void {
    const entry = this.#entries.find(({ name }) => name === DEFAULT_CERTIFICATE);
    if (entry === undefined || entry.fingerprint === this.#default?.fingerprint) return;
    this.#want(entry, (ready) => {
      if (ready === undefined) return;
      this.#default = ready.material;
      for (const watcher of this.#defaultWatchers) watcher(ready.material);
    });
  }

  #entryFor(host: string): CertificateEntry | undefined {
    const { siteOf, unknownName } = this.#options;
    const name = host.toLowerCase();
    const directory = (this.#directory ??= new CertificateDirectory(this.#entries));
    const found = directory.find(name, siteOf(name));
    return found ?? (unknownName === 'default' ? directory.default : undefined);
  }

  /** @param then called once with what has come, `undefined` if nothing has */
  #want(
    { name, fingerprint }: CertificateEntry,
    then: (ready: Ready | undefined) => void = () => undefined,
  ): void {
    const waiting = this.#waiting.get(name);
    if (waiting !== undefined) {
      waiting.push(then);
      return;
    }
    this.#waiting.set(name, [then]);
    const wanted = { name, fingerprint };
    this.#options.port.postMessage({ type: 'want', wanted } satisfies ToKeeper);
  }

  #receive(message: FromKeeper): void {
    if (message.type === 'ticket-secret') {
      this.#secret = message.secret;
      for (const watcher of this.#secretWatchers) watcher(message.secret);
    } else if (message.type === 'staple') {
      const { fingerprint, response } = message;
      if (response === undefined) this.#staples.delete(fingerprint);
      else this.#staples.set(fingerprint, Buffer.from(response));
    } else this.#take(message.wanted, message.material);
  }

  #take(wanted: WantedCertificate, material: CertificateMaterial | undefined): void {
    const { name, fingerprint } = wanted;
    const ready = material && this.#readyOf(material);
    if (ready?.material.fingerprint !== fingerprint) {
      this.#paused.set(name, this.#options.monotonicMs() + PAUSE_MS);
    }
    const entry = this.#entries.find((one) => one.name === name);
    if (ready !== undefined && entry !== undefined) this.#ready.set(name, ready);
    const waiting = this.#waiting.get(name) ?? [];
    this.#waiting.delete(name);
    // Another has come while this one was on its way.
    if (entry !== undefined && entry.fingerprint !== fingerprint) this.#want(entry);
    for (const then of waiting) then(ready);
  }

  #readyOf(material: CertificateMaterial): Ready | undefined {
    try {
      return { material, context: contextOf(material), asking: new Map() };
    } catch (error) {
      this.#options.onError(error);
      return undefined;
    }
  }
}

function contextIn({ material, context, asking }: Ready, authorities?: string): SecureContext {
  if (authorities === undefined) return context;
  const present = asking.get(authorities);
  if (present !== undefined) return present;
  // One certificate may serve several sites, whose authorities change.
  if (asking.size >= MOST_ASKING) asking.clear();
  const made = contextOf(material, authorities);
  asking.set(authorities, made);
  return made;
}

const MOST_ASKING = 100;

const contextOf = ({ chain, key }: CertificateMaterial, ca?: string): SecureContext =>
  createSecureContext({ ...TLS_SETTINGS, cert: chain, key, ...(ca !== undefined && { ca }) });
