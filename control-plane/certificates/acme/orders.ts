import type { Logger } from 'pino';
import type { Cancel, Clock } from '#core/clock.ts';
import { CanopyError, messageOf } from '#core/errors.ts';
import type { StoredRecord, Records } from '../../state/records.ts';
import type { Certificates } from '../certificates.ts';
import { readCertificate } from '../read.ts';
import type { IssuedCertificate } from './issue.ts';
import type { Account, AuthoritySettings, Order, OrderRecord, OrderState } from './records.ts';
import { renewalAt, retryAfterMs } from './schedule.ts';

/** How often it is looked whether something is due. */
const LOOK_MS = 10_000;
/** An attempt is over by then, or the control plane that made it is gone. */
const ATTEMPT_MS = 600_000;
const LONGEST_ERROR = 500;

const KIND = 'acme';
const ACCOUNT = { kind: KIND, id: 'account' } as const;
const PREFIX = 'order/';
const recordOf = (name: string) => ({ kind: KIND, id: `${PREFIX}${name}` }) as const;
/** More than there can be certificates of one network. */
const ALL = 100_000;

export interface AcmeOrdersOptions {
  readonly records: Records;
  readonly certificates: Certificates;
  readonly clock: Clock;
  readonly log: Logger;
  readonly newAccountKey: () => Promise<string>;
  readonly issue: (account: Account, order: OrderState) => Promise<IssuedCertificate>;
  readonly random?: () => number;
}

/**
 * Certificates that the network orders itself and renews. Of several control planes one works on each,
 * by a claim in the state.
 */
export class AcmeOrders {
  readonly #options: AcmeOrdersOptions;
  #cancel: Cancel = () => undefined;
  #closed = false;
  #working: Promise<void> = Promise.resolve();

  constructor(options: AcmeOrdersOptions) {
    this.#options = options;
    this.#lookLater();
  }

  /** `undefined`: nothing can be ordered yet. */
  async authority(): Promise<AuthoritySettings | undefined> {
    const account = await this.#account();
    if (account === undefined) return undefined;
    const { accountKey: _, ...settings } = account;
    return settings;
  }

  /** The account stays as long as the authority does. */
  async setAuthority(settings: AuthoritySettings): Promise<void> {
    const present = await this.#account();
    const isSame = present?.directoryUrl === settings.directoryUrl;
    const accountKey = isSame ? present.accountKey : await this.#options.newAccountKey();
    await this.#options.records.put({ ...ACCOUNT, value: { ...settings, accountKey } });
  }

  /** Has a certificate ordered, now and again before it expires. @throws CanopyError `conflict` without an authority */
  async put(name: string, order: Order): Promise<OrderState> {
    if ((await this.#account()) === undefined) {
      throw new CanopyError('conflict', 'There is no authority to order from: PUT /v1/acme first');
    }
    const now = this.#options.clock.now();
    const value: OrderRecord = {
      name,
      ...order,
      dueAt: now,
      failures: 0,
      error: null,
      busyUntil: 0,
    };
    await this.#options.records.put({ ...recordOf(name), value });
    this.look();
    return shown(value);
  }

  /** @returns false if there is none */
  delete(name: string): Promise<boolean> {
    return this.#options.records.delete(recordOf(name));
  }

  /** By name. */
  async list(): Promise<readonly OrderState[]> {
    return (await this.#orders()).map(({ value }) => shown(value));
  }

  /** Looks now. */
  look(): void {
    this.#cancel();
    this.#working = this.#working
      .then(() => this.#work())
      .catch((error: unknown) => this.#options.log.error(`Orders: ${messageOf(error)}`))
      .finally(() => this.#lookLater());
  }

  /** Resolves once what was due has been tried. */
  settled(): Promise<void> {
    return this.#working;
  }

  close(): void {
    this.#closed = true;
    this.#cancel();
  }

  #lookLater(): void {
    this.#cancel();
    if (!this.#closed) this.#cancel = this.#options.clock.after(LOOK_MS, () => this.look());
  }

  async #account(): Promise<Account | undefined> {
    // Written here.
    return (await this.#options.records.get(ACCOUNT))?.value as Account | undefined;
  }

  async #orders(): Promise<readonly { readonly revision: number; readonly value: OrderRecord }[]> {
    const records = await this.#options.records.list(KIND, { limit: ALL, after: PREFIX });
    return records.map(({ revision, value }: StoredRecord) => ({
      revision,
      value: value as OrderRecord,
    }));
  }

  async #work(): Promise<void> {
    const account = await this.#account();
    if (account === undefined) return;
    for (const { value, revision } of await this.#orders()) {
      const now = this.#options.clock.now();
      if (this.#closed || value.dueAt > now || value.busyUntil > now) continue;
      const claim: OrderRecord = { ...value, busyUntil: now + ATTEMPT_MS };
      // Of two control planes at once one is second.
      const claimed = await this.#options.records.put(
        { ...recordOf(value.name), value: claim },
        revision,
      );
      if (claimed !== undefined) await this.#attempt(account, claim, claimed);
    }
  }

  async #attempt(account: Account, order: OrderRecord, revision: number): Promise<void> {
    const { clock, log, records, random = Math.random } = this.#options;
    const { name } = order;
    const end = async (result: Pick<OrderState, 'dueAt' | 'failures' | 'error'>): Promise<void> => {
      const value: OrderRecord = { ...order, ...result, busyUntil: 0 };
      // Somebody who has changed or deleted it meanwhile wants something else.
      await records.put({ ...recordOf(name), value }, revision);
    };
    try {
      const read = await this.#issue(account, order);
      await end({ dueAt: renewalAt(read, random()), failures: 0, error: null });
      log.info({ certificate: name, notAfter: new Date(read.notAfter) }, 'Has a new certificate');
    } catch (cause) {
      const failures = order.failures + 1;
      const error = messageOf(cause).slice(0, LONGEST_ERROR);
      log.error({ certificate: name, failures }, `Could not order a certificate: ${error}`);
      await end({ dueAt: clock.now() + retryAfterMs(failures, random()), failures, error });
    }
  }

  async #issue(account: Account, order: OrderRecord) {
    const { certificates, clock, issue } = this.#options;
    const { name, site } = order;
    const issued = await issue(account, order);
    const read = readCertificate({ ...issued, privateAuthority: true }, clock.now());
    await certificates.put({ ...read, name, site, source: 'acme' });
    return read;
  }
}

function shown(record: OrderRecord): OrderState {
  const { busyUntil: _, ...order } = record;
  return order;
}
