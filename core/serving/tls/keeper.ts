import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { LRUCache } from 'lru-cache';
import type { Logger } from 'pino';
import type { Cancel, Clock } from '#core/clock.ts';
import {
  type CertificateEntry,
  type CertificateMaterial,
  certificateMaterialSchema,
} from '#core/contract/certificate.ts';
import { validate } from '#core/contract/validate.ts';
import { messageOf } from '#core/errors.ts';
import type { FromKeeper, ToKeeper, WantedCertificate } from './messages.ts';

/** Certificates with their keys that the main thread keeps in memory; the others are on disk. */
const IN_MEMORY = 1_000;

/** How often those are asked for again that were not to be had: routers may send nobody until they are. */
const RETRY_MS = 5_000;

export interface CertificateKeeperOptions {
  /** Made if missing, for its owner only: it holds keys. */
  readonly dir: string;
  readonly clock: Clock;
  readonly log: Pick<Logger, 'warn' | 'error'>;
  /** Asks the control plane. */
  readonly fetch: (name: string) => Promise<unknown>;
  /** Called with each certificate that a thread wanted. */
  readonly onPresent?: (material: CertificateMaterial) => void;
  /** Called with the name of each that is there no more. */
  readonly onGone?: (name: string) => void;
}

/**
 * Gets certificates for the serving threads, each when it is first wanted, and keeps them on disk: a node
 * that starts without the control plane presents what it has presented before.
 */
export class CertificateKeeper {
  readonly #options: CertificateKeeperOptions;
  readonly #ports = new Set<MessagePort>();
  readonly #kept = new LRUCache<string, CertificateMaterial>({ max: IN_MEMORY });
  readonly #fetching = new Map<string, Promise<CertificateMaterial | undefined>>();
  #told = new Map<string, FromKeeper>();
  #entries: readonly CertificateEntry[] = [];
  /** Wanted, and not to be had, nor is one from before. */
  readonly #missing = new Map<string, WantedCertificate>();
  #cancelRetry: Cancel | undefined;
  #closed = false;
  #tidying: Promise<void> = Promise.resolve();

  constructor(options: CertificateKeeperOptions) {
    this.#options = options;
  }

  static async open(options: CertificateKeeperOptions): Promise<CertificateKeeper> {
    await mkdir(options.dir, { recursive: true, mode: 0o700 });
    return new CertificateKeeper(options);
  }

  /** Names of certificates that clients have asked for and that could not be got. */
  get missing(): readonly string[] {
    return [...this.#missing.keys()];
  }

  /** The end of a new thread. */
  connect(): MessagePort {
    const { port1, port2 } = new MessageChannel();
    port1.on('message', ({ wanted }: ToKeeper) => void this.#answer(port1, wanted));
    port1.once('close', () => this.#ports.delete(port1));
    port1.unref();
    this.#ports.add(port1);
    for (const message of this.#told.values()) port1.postMessage(message);
    return port2;
  }

  /** Tells all threads something, those that are yet to come as well. @param topic what it replaces */
  tell(topic: string, message: FromKeeper): void {
    this.#told.set(topic, message);
    for (const port of this.#ports) port.postMessage(message);
  }

  /** Tells all threads what an authority says of a certificate, new ones as well for as long as it holds. */
  tellStaple(fingerprint: string, response: Uint8Array | undefined): void {
    const topic = `staple ${fingerprint}`;
    this.tell(topic, { type: 'staple', fingerprint, response });
    if (response === undefined) this.#told.delete(topic);
  }

  /** Gets what takes the place of certificates that are presented, and forgets those that are gone. */
  heed(entries: readonly CertificateEntry[]): void {
    if (entries === this.#entries) return;
    this.#entries = entries;
    const names = new Set(entries.map(({ name }) => name));
    for (const name of this.#missing.keys()) if (!names.has(name)) this.#missing.delete(name);
    this.#tidying = this.#tidying
      .then(() => this.#tidy(entries))
      .catch((error: unknown) =>
        this.#options.log.error(`Could not tidy certificates: ${messageOf(error)}`),
      );
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelRetry?.();
    for (const port of this.#ports) port.close();
    await this.#tidying;
  }

  async #answer(port: MessagePort, wanted: WantedCertificate): Promise<void> {
    const material = await this.#material(wanted);
    if (material !== undefined) this.#options.onPresent?.(material);
    port.postMessage({ type: 'certificate', wanted, material } satisfies FromKeeper);
  }

  async #material(wanted: WantedCertificate): Promise<CertificateMaterial | undefined> {
    const material = await this.#found(wanted);
    if (material === undefined) {
      this.#missing.set(wanted.name, wanted);
      this.#retryLater();
    } else this.#missing.delete(wanted.name);
    return material;
  }

  #retryLater(): void {
    if (this.#closed) return;
    this.#cancelRetry ??= this.#options.clock.after(RETRY_MS, () => {
      this.#cancelRetry = undefined;
      for (const wanted of this.#missing.values()) void this.#material(wanted);
    });
  }

  /** The one wanted, or the one before it where that is not to be had. */
  async #found(wanted: WantedCertificate): Promise<CertificateMaterial | undefined> {
    const { name, fingerprint } = wanted;
    const kept = this.#kept.get(name) ?? (await this.#read(name));
    if (kept?.fingerprint === fingerprint) return kept;
    const fetching = this.#fetching.get(name) ?? this.#fetch(name);
    return (await fetching) ?? kept;
  }

  #fetch(name: string): Promise<CertificateMaterial | undefined> {
    const { fetch, log } = this.#options;
    const fetching = fetch(name)
      .then(async (answer) => {
        const material = validate(certificateMaterialSchema, answer, 'certificate');
        this.#kept.set(name, material);
        await this.#write(material);
        return material;
      })
      .catch((error: unknown) => {
        log.warn(`Could not get the certificate ${name}: ${messageOf(error)}`);
        return undefined;
      })
      .finally(() => this.#fetching.delete(name));
    this.#fetching.set(name, fetching);
    return fetching;
  }

  async #read(name: string): Promise<CertificateMaterial | undefined> {
    try {
      const text = await readFile(this.#file(name), 'utf8');
      const material = validate(certificateMaterialSchema, JSON.parse(text), 'certificate');
      this.#kept.set(name, material);
      return material;
    } catch {
      // Not there, or damaged: the control plane has it.
      return undefined;
    }
  }

  /** Never throws: a node without disk still serves. */
  async #write(material: CertificateMaterial): Promise<void> {
    const file = this.#file(material.name);
    try {
      await writeFile(`${file}.new`, JSON.stringify(material), { mode: 0o600 });
      await rename(`${file}.new`, file);
    } catch (error) {
      this.#options.log.warn(`Could not keep a certificate in ${file}: ${messageOf(error)}`);
    }
  }

  async #tidy(entries: readonly CertificateEntry[]): Promise<void> {
    const byName = new Map(entries.map((entry) => [entry.name, entry]));
    for (const file of await readdir(this.#options.dir)) {
      const name = /^(.*)\.json$/.exec(file)?.[1];
      if (name === undefined) continue;
      const entry = byName.get(name);
      if (entry !== undefined) {
        await this.#material(entry);
        continue;
      }
      this.#kept.delete(name);
      this.#options.onGone?.(name);
      await rm(this.#file(name), { force: true });
    }
  }

  // Names of certificates are fit for file names.
  #file(name: string): string {
    return join(this.#options.dir, `${name}.json`);
  }
}
