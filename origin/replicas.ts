import type { Logger } from 'pino';
import { Agent, request } from 'undici';
import { z } from 'zod';
import { type Cancel, type Clock } from '#core/clock.ts';
import type { Config } from '#core/contract/event.ts';
import { validate } from '#core/contract/validate.ts';
import { CanopyError, messageOf } from '#core/errors.ts';

import { type Change, type Content, isLater, type ObjectStore } from './object-store.ts';

/** How often a replica looks what the others have that it lacks. */
const LOOK_MS = 5_000;
/** Changes asked for at once, and contents fetched at once. */
const PAGE_CHANGES = 256;
const FETCHES = 8;
const CONNECT_TIMEOUT_MS = 2_000;
const ANSWER_TIMEOUT_MS = 30_000;

const changesSchema = z.strictObject({
  store: z.string().min(1),
  changes: z.array(
    z.strictObject({
      change: z.int().min(1),
      site: z.string(),
      path: z.string(),
      atMs: z.int().min(0),
      object: z
        .strictObject({
          etag: z.string(),
          size: z.int().min(0),
          contentType: z.string(),
          cacheControl: z
            .string()
            .nullable()
            .transform((value) => value ?? undefined),
        })
        .nullable(),
    }),
  ),
});

export interface ReplicasOptions {
  /** Of this node, which is no replica of its own. */
  readonly name: string;
  readonly store: ObjectStore;
  readonly clock: Clock;
  readonly log: Logger;
}

interface Replica {
  readonly name: string;
  readonly url: string;
}

/**
 * The other origins of the network, from which this one takes over what it has missed. Every origin
 * follows every other, each at its own pace; which version of a path counts is the same on all of
 * them (`isLater`), so that they agree in the end in whatever order they hear of it.
 */
export class Replicas {
  readonly #options: ReplicasOptions;
  readonly #agent = new Agent({
    connect: { timeout: CONNECT_TIMEOUT_MS },
    headersTimeout: ANSWER_TIMEOUT_MS,
    bodyTimeout: ANSWER_TIMEOUT_MS,
  });
  #replicas: readonly Replica[] = [];
  #authorization = '';
  #isSuspect = true;
  #looking: Promise<void> | undefined;
  #complaint = '';
  #cancel: Cancel | undefined;
  #closed = false;

  constructor(options: ReplicasOptions) {
    this.#options = options;
  }

  configure({ nodes, network }: Pick<Config, 'nodes' | 'network'>): void {
    const { name } = this.#options;
    this.#authorization = `Bearer ${network.publishKey ?? ''}`;
    this.#replicas = nodes.filter((node) => node.tier === 'origin' && node.name !== name);
    if (this.#replicas.length > 0 && this.#cancel === undefined) this.#lookLater();
  }

  /** Whether there are others that may have something newer. */
  get hasOthers(): boolean {
    return this.#replicas.length > 0;
  }

  /** This origin was out of service, so that others may have been written to without it. */
  suspect(): void {
    this.#isSuspect = true;
  }

  /** Resolves once it has what every replica that can be reached has. */
  async inStep(): Promise<void> {
    if (!this.#isSuspect) return;
    this.#isSuspect = false;
    // One that has begun before may have been too early.
    await this.#looking;
    await this.#look();
  }

  /** Puts a content again from the first replica that has it. */
  async heal({ site, digest, size }: Content): Promise<boolean> {
    for (const replica of this.#replicas) {
      try {
        if (await this.#fetchContent(replica, site, digest, size)) return true;
      } catch (error) {
        this.#options.log.warn(`Cannot heal ${digest} from ${replica.name}: ${messageOf(error)}`);
      }
    }
    return false;
  }

  /**
   * Puts a content that another origin has.
   * @returns false if there is none that has it
   * @throws CanopyError if one that may have it gave no answer
   */
  async obtain(site: string, digest: string): Promise<boolean> {
    const failures: unknown[] = [];
    for (const replica of this.#replicas) {
      try {
        if (await this.#fetchContent(replica, site, digest, undefined)) return true;
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length === 0) return false;
    throw new CanopyError(
      'upstream-unreachable',
      `No replica gave ${digest}: ${messageOf(failures[0])}`,
    );
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#cancel?.();
    await this.#agent.destroy();
    await this.#looking;
  }

  /** @returns false if it has none that is sound */
  async #fetchContent(
    replica: Replica,
    site: string,
    digest: string,
    size: number | undefined,
  ): Promise<boolean> {
    const url = new URL(`/v1/sites/${site}/contents/${digest}`, replica.url);
    const { statusCode, body } = await this.#get(url);
    if (statusCode === 200) {
      await this.#options.store.putContent(site, { content: body, size, digest });
      return true;
    }
    await body.dump();
    if (statusCode === 404 || statusCode === 500) return false;
    throw refused(url, statusCode);
  }

  #lookLater(): void {
    if (this.#closed) return;
    // Jitter, so that replicas do not ask one another in step.
    const delayMs = LOOK_MS * (0.75 + Math.random() / 2);
    this.#cancel = this.#options.clock.after(delayMs, () => {
      void this.#look().finally(() => this.#lookLater());
    });
  }

  #look(): Promise<void> {
    this.#looking ??= Promise.all(this.#replicas.map((replica) => this.#followSafely(replica)))
      .then(() => undefined)
      .finally(() => {
        this.#looking = undefined;
      });
    return this.#looking;
  }

  async #followSafely(replica: Replica): Promise<void> {
    try {
      await this.#follow(replica);
      this.#complaint = '';
    } catch (error) {
      const complaint = `Cannot follow ${replica.name}: ${messageOf(error)}`;
      // Said once, not at every attempt.
      if (!this.#closed && complaint !== this.#complaint) this.#options.log.warn(complaint);
      this.#complaint = complaint;
    }
  }

  async #follow(replica: Replica): Promise<void> {
    const { store } = this.#options;
    const { store: id } = await this.#changes(replica, 0, 1);
    for (let after = store.followed(replica.name, id); !this.#closed;) {
      const page = await this.#changes(replica, after, PAGE_CHANGES);
      const { changes } = page;
      const last = changes.at(-1);
      if (page.store !== id) throw new CanopyError('upstream-invalid', 'Its store was made anew');
      if (last === undefined) return;
      for (let i = 0; i < changes.length; i += FETCHES) {
        const some = changes.slice(i, i + FETCHES);
        await Promise.all(some.map((change) => this.#takeOver(replica, change)));
      }
      after = last.change;
      store.follow(replica.name, id, after);
    }
  }

  async #changes(replica: Replica, after: number, limit: number) {
    const url = new URL(`/v1/changes?after=${after}&limit=${limit}`, replica.url);
    const { statusCode, body } = await this.#get(url);
    const text = await body.text();
    if (statusCode !== 200) throw refused(url, statusCode);
    return validate(changesSchema, JSON.parse(text), `answer of ${replica.name}`);
  }

  async #takeOver(replica: Replica, { site, path, atMs, object }: Change): Promise<void> {
    const { store } = this.#options;
    const etag = object?.etag ?? '';
    if (!isLater({ atMs, etag }, await store.latest(site, path))) return;
    const written = { by: 'replica', atMs, etag } as const;
    if (object === null) {
      await store.delete(site, path, admit, written);
      return;
    }
    const url = new URL(`/v1/sites/${site}/objects${path}`, replica.url);
    const { statusCode, body } = await this.#get(url, { 'if-match': etag });
    if (statusCode !== 200) {
      await body.dump();
      // Replaced or deleted meanwhile: that is a change of its own, further on.
      if (statusCode === 404 || statusCode === 412) return;
      throw refused(url, statusCode);
    }
    const { size, contentType, cacheControl } = object;
    const delivery = { contentType, cacheControl };
    const digest = etag.slice(1, -1);
    await store.put(site, path, { content: body, size, digest, ...delivery, admit, written });
  }

  #get(url: URL, headers: Readonly<Record<string, string>> = {}) {
    const authorization = this.#authorization;
    return request(url, { dispatcher: this.#agent, headers: { authorization, ...headers } });
  }
}

/** Its publisher's conditions held where it was written. */
const admit = (): void => undefined;

const refused = (url: URL, status: number): CanopyError =>
  new CanopyError('upstream-invalid', `${url.href} answered ${status}`);
