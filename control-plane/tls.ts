import { readFile } from 'node:fs/promises';
import type { Server } from 'node:https';
import { createSecureContext } from 'node:tls';
import type { Logger } from 'pino';
import type { Cancel, Clock } from '#core/clock.ts';
import { CanopyError, messageOf } from '#core/errors.ts';

/** Files (PEM) that the API proves itself by. */
export interface TlsFiles {
  /** The certificate, and those between it and its authority. */
  readonly cert: string;
  readonly key: string;
}

export interface KeyPair {
  readonly cert: Buffer;
  readonly key: Buffer;
}

/** How often it is looked whether the files are others now. */
const LOOK_MS = 10_000;

/** @throws CanopyError `invalid-input` if they cannot be read, or do not belong together */
export async function readKeyPair(files: TlsFiles): Promise<KeyPair> {
  try {
    const [cert, key] = await Promise.all([readFile(files.cert), readFile(files.key)]);
    createSecureContext({ cert, key, minVersion: 'TLSv1.2' });
    return { cert, key };
  } catch (cause) {
    const what = `the certificate ${files.cert} with the key ${files.key}`;
    throw new CanopyError('invalid-input', `Cannot use ${what}: ${messageOf(cause)}`, { cause });
  }
}

/** Has a server present the certificate that is in the files now; a bad one leaves the one before in place. */
export class FreshCertificate {
  readonly #server: Server;
  readonly #files: TlsFiles;
  readonly #clock: Clock;
  readonly #log: Logger;
  #pair: KeyPair;
  #complaint = '';
  #cancel: Cancel = () => undefined;
  #closed = false;

  constructor(options: {
    readonly server: Server;
    readonly files: TlsFiles;
    /** What the server presents at first. */
    readonly pair: KeyPair;
    readonly clock: Clock;
    readonly log: Logger;
  }) {
    this.#server = options.server;
    this.#files = options.files;
    this.#pair = options.pair;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#lookLater();
  }

  /** Looks now. */
  async look(): Promise<void> {
    try {
      const pair = await readKeyPair(this.#files);
      this.#complaint = '';
      if (pair.cert.equals(this.#pair.cert) && pair.key.equals(this.#pair.key)) return;
      this.#server.setSecureContext({ ...pair, minVersion: 'TLSv1.2' });
      this.#pair = pair;
      this.#log.info(`Presents the certificate that is in ${this.#files.cert} now`);
    } catch (error) {
      // Once, not at every look.
      if (messageOf(error) !== this.#complaint) this.#log.error(messageOf(error));
      this.#complaint = messageOf(error);
    }
  }

  close(): void {
    this.#closed = true;
    this.#cancel();
  }

  #lookLater(): void {
    this.#cancel = this.#clock.after(LOOK_MS, () => {
      void this.look().finally(() => {
        if (!this.#closed) this.#lookLater();
      });
    });
  }
}
