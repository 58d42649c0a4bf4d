import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { CanopyError, messageOf } from '#core/errors.ts';
import {
  COMMAND_TIMEOUT_MS,
  createClient,
  nameOf,
  parseRedisUrl,
  REDIS_URL_FORMS,
  type RedisAddress,
  type RedisClient,
  translated,
} from '#core/redis-client.ts';
import { type Script, scriptArguments } from './redis-scripts.ts';
import type { StateWatcher } from './store.ts';

/** Commands in ioredis's notation. */
export type Commands = readonly (readonly [command: string, ...rest: (string | number)[]])[];

/** Shorter than the time after which a silent connection counts as dead. */
const NEWS_BLOCK_MS = 2_000;
const NEWS_PAUSE_MS = 200;

/** What control planes tell one another; a channel is not of a database, so its number is in the name. */
const channelOf = ({ db }: RedisAddress): string => `canopy:tidings:${db}`;

/** Three connections to one Redis: for commands, for waiting for news, and for listening to others. */
export class RedisConnection {
  readonly #address: RedisAddress;
  readonly #client: RedisClient;
  readonly #waiting: RedisClient;
  readonly #listening: RedisClient;
  readonly #log: Logger;
  #complaint = '';
  #closed = false;

  private constructor(address: RedisAddress, log: Logger) {
    this.#address = address;
    this.#log = log;
    this.#client = createClient(address);
    this.#waiting = createClient(address);
    this.#listening = createClient(address);
    for (const client of this.#clients) {
      client.on('error', (error) => this.#complain(error, log));
      client.on('ready', () => (this.#complaint = ''));
    }
  }

  /** @throws CanopyError */
  static async open(url: string, log: Logger): Promise<RedisConnection> {
    const address = parseRedisUrl(url);
    if (address === undefined) {
      // Not the URL itself: it may hold a password.
      throw new CanopyError('invalid-input', `The Redis URL is not of the form ${REDIS_URL_FORMS}`);
    }
    const redis = new RedisConnection(address, log);
    try {
      await redis.#connect();
      await redis.#warn(log);
      return redis;
    } catch (error) {
      redis.close();
      throw error;
    }
  }

  get #clients(): readonly RedisClient[] {
    return [this.#client, this.#waiting, this.#listening];
  }
  get name(): string {
    return nameOf(this.#address);
  }
  get closed(): boolean {
    return this.#closed;
  }

  /** Sends commands at once, while the caller's knowledge is still what it was. */
  async send<T>(ask: (client: RedisClient) => Promise<T>): Promise<T> {
    try {
      return await ask(this.#client);
    } catch (error) {
      throw translated(this.#address, error);
    }
  }

  /** Carries out a script as one step. */
  run(script: Script, ...values: readonly (string | number)[]): Promise<unknown> {
    return this.send((client) => client.eval(...scriptArguments(script), ...values));
  }

  /** Carries out commands as one step. @returns their answers */
  async transaction(commands: Commands): Promise<unknown[]> {
    const answers = await this.send((client) =>
      client.multi(commands.map((command) => [...command])).exec(),
    );
    return (answers ?? []).map(([error, answer]) => {
      if (error !== null) throw translated(this.#address, error);
      return answer;
    });
  }

  /** Calls `watcher` from now on. @param key a stream that gets an entry with every change */
  watch(key: string, watcher: StateWatcher): void {
    this.#client.on('ready', () => watcher.reconnected());
    // A cluster stays connected when one of its masters is replaced.
    for (const event of ['+node', '-node']) this.#client.on(event, () => watcher.reconnected());
    void this.#follow(key, watcher);
    this.#listening.on('message', (_, message: string) => watcher.told(message));
    // Also after a lost connection: what ioredis has subscribed to once it subscribes to again.
    this.#listening.subscribe(channelOf(this.#address)).catch((error: unknown) => {
      if (!this.#closed) this.#log.warn(`No control plane hears another: ${messageOf(error)}`);
    });
  }

  tell(message: string): Promise<void> {
    return this.send(
      async (client) => void (await client.publish(channelOf(this.#address), message)),
    );
  }

  close(): void {
    this.#closed = true;
    for (const client of this.#clients) client.disconnect();
  }

  async #follow(key: string, watcher: StateWatcher): Promise<void> {
    let last = '0';
    while (!this.#closed) {
      try {
        const news = await this.#waiting.xread('BLOCK', NEWS_BLOCK_MS, 'STREAMS', key, last);
        last = news?.[0]?.[1].at(-1)?.[0] ?? last;
        await watcher.changed();
      } catch {
        // Whatever happened meanwhile is news, even to a Redis that has forgotten some.
        last = '0';
        await delay(NEWS_PAUSE_MS);
      }
    }
  }

  async #connect(): Promise<void> {
    let reason: unknown;
    const remember = (error: unknown): void => void (reason = error);
    this.#client.on('error', remember);
    try {
      const connected = Promise.all(this.#clients.map((client) => client.connect()));
      // Sentinels and clusters are asked for ever.
      const timeUp = delay(COMMAND_TIMEOUT_MS, undefined, { ref: false }).then(() => {
        throw new Error(`no answer within ${COMMAND_TIMEOUT_MS} ms`);
      });
      await Promise.race([connected, timeUp]);
    } catch (error) {
      throw translated(this.#address, reason ?? error);
    } finally {
      this.#client.off('error', remember);
    }
  }

  /** Says what could lose the state. A Redis that does not tell is left alone. */
  async #warn(log: Logger): Promise<void> {
    const setting = async (name: string): Promise<unknown> => {
      const answer = await this.#client.config('GET', name).catch(() => []);
      return (answer as readonly unknown[])[1];
    };
    if ((await setting('appendonly')) === 'no') {
      log.warn(`${this.name} has "appendonly no": a crash loses what was written last`);
    }
    const policy = await setting('maxmemory-policy');
    if (typeof policy === 'string' && policy.startsWith('allkeys')) {
      log.warn(`${this.name} has "maxmemory-policy ${policy}": it may throw the state away`);
    }
  }

  /** Once, not at every attempt. */
  #complain(error: unknown, log: Logger): void {
    const complaint = messageOf(translated(this.#address, error));
    if (this.#closed || complaint === this.#complaint) return;
    this.#complaint = complaint;
    log.warn(complaint);
  }
}
