import { createServer } from 'node:net';
import { Worker } from 'node:worker_threads';
import { type Clock, systemClock } from '#core/clock.ts';
import { CanopyError } from '#core/errors.ts';
import type { GeoDatabase } from '#core/geography/database.ts';
import { bind } from '#core/serving/listener.ts';
import { Samples } from '#core/telemetry/samples.ts';
import type { DnsAddress } from '../dns/server.ts';
import type { News } from '../view/news.ts';
import type { FromThread, ThreadData, ThreadPlace, ToThread } from './messages.ts';

export interface DnsThreadsOptions {
  /** The module that a thread runs, `threads/thread.ts`. */
  readonly module: URL;
  readonly count: number;
  readonly data: ThreadData;
  /** Asked in this order. */
  readonly databases: readonly GeoDatabase[];
  readonly clock?: Clock;
  readonly log: { error(fields: object, message: string): void };
}

interface Thread {
  readonly worker: Worker;
  /** When it was started, `Clock.monotonicMs`. */
  readonly startedAtMs: number;
  /** Those who wait for it to be measured. */
  readonly measuring: Set<() => void>;
  total: number;
  samples: Samples;
}

/** A thread that takes longer to be measured is left as it was when last heard of. */
const MEASURE_LIMIT_MS = 1_000;

/** One that has ended sooner after its start is not started again before. */
const RESTART_MS = 1_000;

/** The threads that answer DNS, on the same ports: all go by the same, and one that dies is replaced. */
export class DnsThreads {
  readonly #options: DnsThreadsOptions;
  readonly #clock: Clock;
  readonly #threads = new Set<Thread>();
  /** What new threads are told. */
  readonly #latest = new Map<News['type'], News>();
  #addresses: readonly DnsAddress[] = [];
  /** Of threads that have died. */
  readonly #pastSamples = new Samples();
  #pastTotal = 0;
  #failed = 0;
  #closing = false;

  constructor(options: DnsThreadsOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    for (let i = 0; i < options.count; i++) this.#start();
  }

  /** Queries answered since the start. */
  get total(): number {
    return [...this.#threads].reduce((sum, { total }) => sum + total, this.#pastTotal);
  }

  tell(news: News): void {
    this.#latest.set(news.type, news);
    this.#say({ type: 'news', news });
  }

  /** The database has new content. */
  renewed(database: GeoDatabase): void {
    const place = this.#options.databases.indexOf(database);
    this.#say({ type: 'database', place, content: database.content });
  }

  /**
   * Answers at these addresses, in every thread.
   * @returns them, with ports in place of 0
   * @throws CanopyError `conflict` where a port is taken
   */
  async listen(addresses: readonly DnsAddress[]): Promise<readonly DnsAddress[]> {
    const [first, ...others] = this.#threads;
    if (first === undefined) throw new Error('A router has at least one thread');
    for (const address of addresses) await assertFree(address);
    this.#addresses = await listenIn(first, addresses);
    await Promise.all(others.map((thread) => listenIn(thread, this.#addresses)));
    return this.#addresses;
  }

  /** Adds what all threads have measured, by now where they answer in time. */
  async sample(samples: Samples): Promise<void> {
    await Promise.all([...this.#threads].map((thread) => this.#measure(thread)));
    samples.addAll(this.#pastSamples);
    for (const thread of this.#threads) samples.addAll(thread.samples);
    samples.add('canopy_dns_threads', this.#threads.size);
    samples.add('canopy_dns_threads_failed_total', this.#failed);
  }

  async close(): Promise<void> {
    this.#closing = true;
    const ended = [...this.#threads].map(
      ({ worker }) => new Promise((resolve) => void worker.once('exit', resolve)),
    );
    this.#say({ type: 'close' });
    await Promise.all(ended);
  }

  #start(): Thread {
    const { module, data, databases, log } = this.#options;
    const workerData: ThreadPlace = { ...data, databases: databases.map(({ content }) => content) };
    const thread: Thread = {
      worker: new Worker(module, { workerData }),
      startedAtMs: this.#clock.monotonicMs(),
      measuring: new Set(),
      total: 0,
      samples: new Samples(),
    };
    this.#threads.add(thread);
    const { worker } = thread;
    worker.on('message', (message: FromThread) => {
      if (message.type === 'measured') {
        thread.total = message.total;
        thread.samples = new Samples(message.samples);
        for (const measured of thread.measuring) measured();
      } else if (message.type === 'error') {
        log.error({ detail: message.message }, 'A query has failed');
      }
    });
    worker.on('error', (error) => log.error({ err: error }, 'A thread has failed'));
    worker.once('exit', () => this.#replace(thread));
    for (const news of this.#latest.values()) say(thread, { type: 'news', news });
    return thread;
  }

  #replace(dead: Thread): void {
    this.#threads.delete(dead);
    for (const measured of dead.measuring) measured();
    this.#pastTotal += dead.total;
    this.#pastSamples.addAll(dead.samples.counted());
    if (this.#closing) return;
    this.#failed++;
    const livedMs = this.#clock.monotonicMs() - dead.startedAtMs;
    this.#clock.after(Math.max(0, RESTART_MS - livedMs), () => {
      if (this.#closing) return;
      const thread = this.#start();
      if (this.#addresses.length === 0) return;
      listenIn(thread, this.#addresses).catch((error: unknown) =>
        this.#options.log.error({ err: error }, 'A new thread cannot listen'),
      );
    });
  }

  #say(message: ToThread): void {
    for (const thread of this.#threads) say(thread, message);
  }

  async #measure(thread: Thread): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    thread.measuring.add(resolve);
    const cancel = this.#clock.after(MEASURE_LIMIT_MS, resolve);
    say(thread, { type: 'measure' });
    await promise;
    cancel();
    thread.measuring.delete(resolve);
  }
}

const say = ({ worker }: Thread, message: ToThread): void => worker.postMessage(message);

function listenIn(
  thread: Thread,
  addresses: readonly DnsAddress[],
): Promise<readonly DnsAddress[]> {
  const { worker } = thread;
  return new Promise((resolve, reject) => {
    const lost = (): void => reject(new CanopyError('internal-error', 'A thread has ended'));
    worker.once('exit', lost);
    const answer = (message: FromThread): void => {
      if (message.type !== 'listening' && message.type !== 'not-listening') return;
      worker.off('message', answer);
      worker.off('exit', lost);
      if (message.type === 'listening') resolve(message.addresses);
      else reject(new CanopyError(message.code, message.message));
    };
    worker.on('message', answer);
    say(thread, { type: 'listen', addresses });
  });
}

/** Several threads share a port by an option that would let another process share it, too. */
async function assertFree({ host, port }: DnsAddress): Promise<void> {
  if (port === 0) return;
  const probe = createServer();
  await bind(probe, { host, port });
  await new Promise((resolve) => void probe.close(resolve));
}
