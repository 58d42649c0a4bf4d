import { once } from 'node:events';
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import type { StoredFence } from '#core/cache/disk/durable-fence.ts';
import type { Health } from '#core/cache/disk/health.ts';
import { KeeperLink } from '#core/cache/disk/keeper-link.ts';
import type { Budget } from '#core/cache/disk/limits.ts';
import type { DiskPlace } from '#core/cache/disk/messages.ts';
import { SharedState } from '#core/cache/disk/shared.ts';
import type { Clock } from '#core/clock.ts';
import { CanopyError, messageOf } from '#core/errors.ts';
import { METRICS } from '#core/telemetry/metrics.ts';
import { Samples } from '#core/telemetry/samples.ts';
import type { DiskThreadData, FromDiskThread, ToDiskThread } from './messages.ts';

export interface NodeDiskOptions extends Budget {
  readonly dir: string;
  readonly clock: Clock;
  readonly log: { warn(message: string): void; error(message: string): void };
}

/** What a serving thread opens the disk store with. */
export interface DiskConnection {
  readonly place: DiskPlace;
  readonly port: MessagePort;
}

/** A disk that takes longer to write down a purge than this does not hold up its acknowledgement. */
const PATIENCE_MS = 5_000;
/** A thread that takes longer to be measured is left as it was when last heard of. */
const MEASURE_LIMIT_MS = 1_000;

/** The disk store of a node, as the main thread sees it: kept by a thread of its own, used by all that serve. */
export class NodeDisk {
  readonly #options: NodeDiskOptions;
  readonly #worker: Worker;
  readonly #place: DiskPlace;
  readonly #shared: SharedState;
  readonly #link: KeeperLink;
  /** What it remembered of purges when it was opened. */
  readonly fence: StoredFence;
  #journal: string | undefined;
  #health: Health = { state: 'ok' };
  #hasEnded = false;
  #isClosing = false;
  /** What its thread has counted, as it last said. */
  #samples = new Samples();
  readonly #measuring = new Map<number, () => void>();
  #nextId = 0;
  /** Those who wait for what can be waited for only while the disk works. */
  readonly #waiting = new Set<() => void>();

  private constructor(
    options: NodeDiskOptions,
    worker: Worker,
    { place, fence }: FromDiskThread & { type: 'opened' },
  ) {
    this.#options = options;
    this.#worker = worker;
    this.#place = place;
    this.fence = fence;
    this.#journal = fence.journal;
    this.#shared = new SharedState(place.shared);
    worker.on('message', (message: FromDiskThread) => this.#receive(message));
    worker.once('exit', () => this.#ended());
    this.#link = new KeeperLink(this.connect(0).port);
  }

  /**
   * Opens the store.
   * @returns `undefined` where the disk fails, so that the node has none
   * @throws CanopyError `conflict` where another process has it open
   */
  static async open(options: NodeDiskOptions): Promise<NodeDisk | undefined> {
    const { clock: _, log, ...data } = options;
    const worker = new Worker(new URL('./thread.ts', import.meta.url), {
      workerData: data satisfies DiskThreadData,
    });
    worker.on('error', (error) =>
      log.error(`The thread of the disk store failed: ${messageOf(error)}`),
    );
    const opened = await firstWord(worker, log);
    if (opened.type === 'opened') return new NodeDisk(options, worker, opened);
    await worker.terminate();
    if (opened.isConflict) throw new CanopyError('conflict', opened.message);
    log.error(`Serves from memory alone, for the disk store cannot be opened: ${opened.message}`);
    return undefined;
  }

  /** Whether it takes what is to be stored. */
  get works(): boolean {
    return this.#health.state === 'ok' && !this.#hasEnded;
  }

  get health(): Health | { readonly state: 'ended' } {
    return this.#hasEnded ? { state: 'ended' } : this.#health;
  }

  /**
   * Adds what the thread of the disk has counted.
   * @param labelOf the label of a site, so that there are few
   */
  async sample(samples: Samples, labelOf: (site: string) => string): Promise<void> {
    await this.#measure();
    for (const [name, values] of this.#samples.byMetric) {
      const isOfSite = METRICS[name].labels.some((label) => label === 'site');
      for (const [key, value] of values) {
        const [first = '', ...others] = key.split('\n');
        samples.add(name, value, isOfSite ? labelOf(first) : first, ...others);
      }
    }
  }

  async #measure(): Promise<void> {
    if (this.#hasEnded) return;
    const id = this.#nextId++;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#measuring.set(id, resolve);
    const cancel = this.#options.clock.after(MEASURE_LIMIT_MS, resolve);
    this.#worker.postMessage({ type: 'measure', id } satisfies ToDiskThread);
    await promise;
    cancel();
    this.#measuring.delete(id);
  }

  /** @param slot of a serving thread, from 1; one that takes the place of another takes its slot */
  connect(slot: number): DiskConnection {
    const { port1, port2 } = new MessageChannel();
    this.#worker.postMessage({ type: 'accept', port: port1 } satisfies ToDiskThread, [port1]);
    return { place: { ...this.#place, slot }, port: port2 };
  }

  /** From now on what is stored is of this journal. Resolves once every thread that looks it up sees that. */
  async follow(journal: string): Promise<void> {
    if (journal === this.#journal) return;
    this.#journal = journal;
    this.#shared.order();
    this.#link.change({ kind: 'follow', journal, at: this.#options.clock.now() });
    await this.#link.recall();
  }

  /**
   * Has it written down that the journal is heeded up to there. A disk that fails is not waited for:
   * its fence stays behind, so that the node replays the journal from there when it starts.
   */
  async advance(sequence: number): Promise<void> {
    const written = this.#link.advance(this.#shared, sequence);
    if (!this.works) return;
    const { promise: given, resolve } = Promise.withResolvers<void>();
    this.#waiting.add(resolve);
    const cancel = this.#options.clock.after(PATIENCE_MS, resolve);
    await Promise.race([written, given]);
    cancel();
    this.#waiting.delete(resolve);
  }

  /** Called once no thread uses it any more. */
  async close(): Promise<void> {
    this.#isClosing = true;
    if (this.#hasEnded) return;
    const ended = once(this.#worker, 'exit');
    this.#worker.postMessage({ type: 'close' } satisfies ToDiskThread);
    await ended;
  }

  #receive(message: FromDiskThread): void {
    if (message.type === 'warning') this.#options.log.warn(message.message);
    if (message.type === 'measured') {
      this.#samples = new Samples(message.samples);
      this.#measuring.get(message.id)?.();
    }
    if (message.type !== 'health') return;
    this.#health = message.health;
    if (!this.works) this.#giveUpWaiting();
  }

  #ended(): void {
    this.#hasEnded = true;
    for (const measured of this.#measuring.values()) measured();
    this.#giveUpWaiting();
    if (!this.#isClosing) this.#options.log.error('The disk store has ended; memory is left');
  }

  #giveUpWaiting(): void {
    for (const resolve of this.#waiting) resolve();
  }
}

/** What the thread says first of whether it has opened the store. */
function firstWord(
  worker: Worker,
  log: NodeDiskOptions['log'],
): Promise<FromDiskThread & { type: 'opened' | 'not-opened' }> {
  return new Promise((resolve) => {
    const hear = (message: FromDiskThread): void => {
      if (message.type === 'warning') log.warn(message.message);
      if (message.type !== 'opened' && message.type !== 'not-opened') return;
      worker.off('message', hear);
      resolve(message);
    };
    worker.on('message', hear);
    worker.once('exit', () =>
      resolve({ type: 'not-opened', isConflict: false, message: 'its thread ended' }),
    );
  });
}
