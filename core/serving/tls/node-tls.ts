import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Cancel, Clock } from '#core/clock.ts';
import type { Config } from '#core/contract/event.ts';
import { type TicketSecret, ticketSecretsSchema } from '#core/contract/ticket-secrets.ts';
import { validate } from '#core/contract/validate.ts';
import { messageOf } from '#core/errors.ts';
import { CertificateKeeper } from './keeper.ts';
import { Staples } from './staples.ts';
import type { TlsPlace, UnknownNamePolicy } from './messages.ts';

export interface NodeTlsOptions {
  readonly dir: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly unknownName: UnknownNamePolicy;
  /** Asks the control plane. */
  readonly get: (path: string) => Promise<unknown>;
}

/** How often the control plane is asked for the secrets to come. */
const ASK_MS = 600_000;
/** After it could not be asked. */
const RETRY_MS = 10_000;

/** What the main thread of an edge does for TLS: it gets certificates and what tickets are sealed with. */
export class NodeTls {
  readonly #options: NodeTlsOptions;
  readonly #keeper: CertificateKeeper;
  readonly #staples: Staples;
  #secrets: readonly TicketSecret[] = [];
  #told = '';
  #cancelAsk: Cancel = () => undefined;
  #cancelTurn: Cancel = () => undefined;
  #closed = false;

  private constructor(options: NodeTlsOptions, keeper: CertificateKeeper, staples: Staples) {
    this.#options = options;
    this.#keeper = keeper;
    this.#staples = staples;
    // Until the fleet's is known, at least the threads share one.
    this.#tell(randomBytes(32).toString('base64url'));
  }

  static async open(options: NodeTlsOptions): Promise<NodeTls> {
    const { clock, dir, get, log } = options;
    const staples = new Staples({
      clock,
      log,
      tell: (fingerprint, response) => keeper.tellStaple(fingerprint, response),
    });
    const keeper = await CertificateKeeper.open({
      dir: join(dir, 'certificates'),
      clock,
      log,
      fetch: (name) => get(`/v1/node/certificates/${name}`),
      onPresent: (material) => staples.present(material),
      onGone: (name) => staples.forget(name),
    });
    return new NodeTls(options, keeper, staples);
  }

  /** For a new thread. */
  connect(): TlsPlace {
    return { port: this.#keeper.connect(), unknownName: this.#options.unknownName };
  }

  /** Names of certificates that clients have asked for and that could not be got. */
  get missingCertificates(): readonly string[] {
    return this.#keeper.missing;
  }

  heed({ certificates }: Config): void {
    this.#keeper.heed(certificates);
  }

  /** Asks for the fleet's secrets from now on. */
  start(): void {
    void this.#ask();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelAsk();
    this.#cancelTurn();
    this.#staples.close();
    await this.#keeper.close();
  }

  async #ask(): Promise<void> {
    const { clock, get, log } = this.#options;
    let nextMs = ASK_MS;
    try {
      const answer = await get('/v1/node/ticket-secrets');
      this.#secrets = validate(ticketSecretsSchema, answer, 'ticket secrets').secrets;
    } catch (error) {
      log.warn(`Could not get the secrets of session tickets: ${messageOf(error)}`);
      nextMs = RETRY_MS;
    }
    if (this.#closed) return;
    this.#turn();
    this.#cancelAsk = clock.after(nextMs, () => void this.#ask());
  }

  /** Takes the latest secret whose time has come, as all other edges do at the same time. */
  #turn(): void {
    const { clock } = this.#options;
    this.#cancelTurn();
    const now = clock.now();
    const current = this.#secrets.findLast(({ from }) => from <= now);
    if (current !== undefined) this.#tell(current.secret);
    const next = this.#secrets.find(({ from }) => from > now);
    if (next !== undefined) this.#cancelTurn = clock.after(next.from - now, () => this.#turn());
  }

  #tell(secret: string): void {
    if (secret === this.#told) return;
    this.#told = secret;
    this.#keeper.tell('ticket-secret', { type: 'ticket-secret', secret });
  }
}
