import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import { z } from 'zod';
import type { Cancel, Clock } from '#core/clock.ts';
import { CanopyError, messageOf } from '#core/errors.ts';
import type { Bucket } from './bucket.ts';

const OWNER = 'owner.json';

/** How often the owner says that it is there. */
const RENEW_MS = 10_000;
/** An owner not heard of for so long is gone. */
const GONE_MS = 30_000;

const ownerSchema = z.strictObject({
  /** Of the node. */
  name: z.string(),
  /** Of the process. */
  run: z.string(),
  /** By the owner's wall clock, ms since the Unix epoch. */
  atMs: z.number(),
});

type Owner = z.output<typeof ownerSchema>;

export interface OwnershipOptions {
  /** Of the node; one that starts again takes over from itself at once. */
  readonly name: string;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * Sees to it that one origin writes below a prefix. Needs no conditional writes, which not every
 * service has; in return an origin that was taken for gone may write for some seconds more.
 */
export class Ownership {
  readonly #bucket: Bucket;
  readonly #options: OwnershipOptions;
  readonly #run = randomUUID();
  #provenMs = 0;
  #taker: string | undefined;
  #cancel: Cancel | undefined;

  private constructor(bucket: Bucket, options: OwnershipOptions) {
    this.#bucket = bucket;
    this.#options = options;
  }

  /** @throws CanopyError `conflict` if another origin has it */
  static async take(bucket: Bucket, options: OwnershipOptions): Promise<Ownership> {
    const ownership = new Ownership(bucket, options);
    const owner = await ownership.#owner();
    const { name, clock } = options;
    if (owner !== undefined && owner.name !== name && clock.now() - owner.atMs < GONE_MS) {
      throw new CanopyError(
        'conflict',
        `${bucket.name} belongs to origin ${owner.name}: give each origin a prefix of its own`,
      );
    }
    await ownership.#write();
    ownership.#renewLater();
    return ownership;
  }

  /**
   * To be called before each write.
   * @throws CanopyError `conflict` if another origin has taken over
   */
  async prove(): Promise<void> {
    // A process that was stopped for a while does not know what has happened meanwhile.
    const isProven = this.#options.clock.monotonicMs() - this.#provenMs < GONE_MS - RENEW_MS;
    if (!isProven && this.#taker === undefined) await this.#renew();
    if (this.#taker === undefined) return;
    throw new CanopyError('conflict', `${this.#bucket.name} was taken over by ${this.#taker}`);
  }

  /** Lets another have it at once. */
  async end(): Promise<void> {
    this.#cancel?.();
    if (this.#taker === undefined) await this.#bucket.remove(OWNER).catch(() => undefined);
  }

  #renewLater(): void {
    const { clock, log, name } = this.#options;
    this.#cancel = clock.after(RENEW_MS, () => {
      void this.#renew()
        .catch((error: unknown) => log.warn(`Cannot renew ${name}'s claim: ${messageOf(error)}`))
        .finally(() => {
          if (this.#taker === undefined) this.#renewLater();
          else log.error(`${this.#bucket.name} was taken over by ${this.#taker}`);
        });
    });
  }

  async #renew(): Promise<void> {
    const owner = await this.#owner();
    if (owner === undefined || owner.run === this.#run) await this.#write();
    else this.#taker = owner.name;
  }

  async #write(): Promise<void> {
    const { name, clock } = this.#options;
    // What counts is when it began, not when it was answered.
    const provenMs = clock.monotonicMs();
    const owner: Owner = { name, run: this.#run, atMs: clock.now() };
    await this.#bucket.put(OWNER, JSON.stringify(owner));
    this.#provenMs = provenMs;
  }

  async #owner(): Promise<Owner | undefined> {
    const text = await this.#bucket.get(OWNER);
    return text === undefined ? undefined : ownerSchema.parse(JSON.parse(text));
  }
}
