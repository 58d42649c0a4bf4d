import { MessageChannel, Worker } from 'node:worker_threads';
import type { Config, JournalEvent } from '#core/contract/event.ts';
import { addCounts, type Load, type PurgeReport } from '#core/contract/report.ts';
import { CanopyError } from '#core/errors.ts';
import type { FromThread, ThreadData, ThreadPlace, ToThread } from './thread-messages.ts';

export interface ThreadsOptions {
  /** The module that a thread runs. */
  readonly module: URL;
  readonly count: number;
  readonly data: ThreadData;
  readonly log: {
    error(fields: object, message: string): void;
  };
}

type Applied = (report: PurgeReport | undefined) => void;

interface Thread {
  readonly slot: number;
  readonly worker: Worker;
  /** Events sent and not yet applied, by id. */
  readonly pending: Map<number, Applied>;
  load: Load | undefined;
}

const NO_LOAD: Load = {
  requests: 0,
  hits: 0,
  upstreamRequests: 0,
  bytesSent: 0,
  objects: 0,
  storedBytes: 0,
};

/** The serving threads of a node: all heed every event, and one that dies is replaced. */
export class Threads {
  readonly #options: ThreadsOptions;
  readonly #threads = new Set<Thread>();
  #config: Config | undefined;
  #address: { host: string; port: number } | undefined;
  /** Totals of threads that have died. */
  #past: Load = NO_LOAD;
  #nextId = 0;
  #closing = false;

  constructor(options: ThreadsOptions) {
    this.#options = options;
    for (let i = 0; i < options.count; i++) this.#start(i);
  }

  /** Resolves when every thread has heeded the event, or the whole `config` where there is none. */
  async apply(
    config: Config,
    event: JournalEvent | undefined,
    reset: boolean,
  ): Promise<PurgeReport | undefined> {
    this.#config = config;
    const reports = await Promise.all(
      [...this.#threads].map((thread) => this.#send(thread, config, event, reset)),
    );
    return reports.reduce(addReports, undefined);
  }

  /**
   * Accepts connections in every thread.
   * @returns the base URL
   * @throws CanopyError `conflict` where the port is taken
   */
  async listen(host: string, port: number): Promise<string> {
    const [first, ...others] = this.#threads;
    if (first === undefined) throw new Error('A node has at least one thread');
    const bound = await this.#listen(first, host, port);
    this.#address = { host, port: bound.port };
    await Promise.all(others.map((thread) => this.#listen(thread, host, bound.port)));
    return bound.url;
  }

  load(): Load {
    return [...this.#threads].reduce((sum, { load }) => addLoads(sum, load ?? NO_LOAD), this.#past);
  }

  /** Lets answers under way finish for up to `graceMs`. */
  async close(graceMs: number): Promise<void> {
    this.#closing = true;
    await Promise.all(
      [...this.#threads].map(({ worker }) => {
        const ended = new Promise((resolve) => void worker.once('exit', resolve));
        worker.postMessage({ type: 'close', graceMs } satisfies ToThread);
        return ended;
      }),
    );
  }

  #start(slot: number): Thread {
    const workerData: ThreadPlace = { ...this.#options.data, slot };
    const worker = new Worker(this.#options.module, { workerData });
    const thread: Thread = { slot, worker, pending: new Map(), load: undefined };
    for (const other of this.#threads) introduce(thread, other);
    this.#threads.add(thread);
    worker.on('message', (message: FromThread) => this.#receive(thread, message));
    worker.on('error', (error) => this.#options.log.error({ err: error }, 'A thread has failed'));
    worker.once('exit', () => this.#replace(thread));
    return thread;
  }

  #receive(thread: Thread, message: FromThread): void {
    if (message.type === 'applied') {
      thread.pending.get(message.id)?.(message.report);
      thread.pending.delete(message.id);
    } else if (message.type === 'changed') void this.#tell(thread, message);
    else if (message.type === 'load') thread.load = message.load;
    else if (message.type === 'error') {
      this.#options.log.error({ detail: message.message }, 'A request has failed');
    }
  }

  /** Passes on to all other threads what one has seen changed, and lets it know when they have heeded it. */
  async #tell(from: Thread, { id, changed }: FromThread & { type: 'changed' }): Promise<void> {
    const others = [...this.#threads].filter((thread) => thread !== from);
    await Promise.all(
      others.map((thread) =>
        this.#ask(thread, (asked) => ({ type: 'changed', id: asked, changed })),
      ),
    );
    from.worker.postMessage({ type: 'told', id } satisfies ToThread);
  }

  /** What a dead thread held is gone with it, so it has heeded whatever it was sent. */
  #replace(dead: Thread): void {
    this.#threads.delete(dead);
    for (const applied of dead.pending.values()) applied(undefined);
    const { requests, hits, upstreamRequests, bytesSent } = dead.load ?? NO_LOAD;
    this.#past = addLoads(this.#past, { ...NO_LOAD, requests, hits, upstreamRequests, bytesSent });
    if (this.#closing) return;
    const thread = this.#start(dead.slot);
    const address = this.#address;
    if (this.#config === undefined) return;
    void this.#send(thread, this.#config, undefined, false);
    if (address === undefined) return;
    this.#listen(thread, address.host, address.port).catch((error: unknown) =>
      this.#options.log.error({ err: error }, 'A new thread cannot listen'),
    );
  }

  #send(
    thread: Thread,
    config: Config,
    event: JournalEvent | undefined,
    reset: boolean,
  ): Promise<PurgeReport | undefined> {
    return this.#ask(thread, (id) =>
      event === undefined ? { type: 'config', id, config, reset } : { type: 'event', id, event },
    );
  }

  /** Resolves when the thread has heeded the message. */
  #ask(thread: Thread, message: (id: number) => ToThread): Promise<PurgeReport | undefined> {
    const id = this.#nextId++;
    return new Promise((resolve) => {
      thread.pending.set(id, resolve);
      thread.worker.postMessage(message(id));
    });
  }

  #listen(thread: Thread, host: string, port: number): Promise<FromThread & { type: 'listening' }> {
    const reusePort = this.#options.count > 1;
    return new Promise((resolve, reject) => {
      const answer = (message: FromThread): void => {
        if (message.type !== 'listening' && message.type !== 'not-listening') return;
        thread.worker.off('message', answer);
        if (message.type === 'listening') resolve(message);
        else reject(new CanopyError(message.code, message.message));
      };
      thread.worker.on('message', answer);
      thread.worker.postMessage({ type: 'listen', host, port, reusePort } satisfies ToThread);
    });
  }
}

/** Gives two threads a way to one another. */
function introduce(one: Thread, other: Thread): void {
  const { port1, port2 } = new MessageChannel();
  const meet = (thread: Thread, slot: number, port: typeof port1): void =>
    thread.worker.postMessage({ type: 'sibling', slot, port } satisfies ToThread, [port]);
  meet(one, other.slot, port1);
  meet(other, one.slot, port2);
}

const addLoads = (a: Load, b: Load): Load => ({
  requests: a.requests + b.requests,
  hits: a.hits + b.hits,
  upstreamRequests: a.upstreamRequests + b.upstreamRequests,
  bytesSent: a.bytesSent + b.bytesSent,
  objects: a.objects + b.objects,
  storedBytes: a.storedBytes + b.storedBytes,
});

function addReports(
  a: PurgeReport | undefined,
  b: PurgeReport | undefined,
): PurgeReport | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return {
    sequence: a.sequence,
    objects: addCounts(a.objects, b.objects),
    bytes: addCounts(a.bytes, b.bytes),
    fills: a.fills + b.fills,
  };
}
