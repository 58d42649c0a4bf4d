import { MessageChannel, Worker } from 'node:worker_threads';
import type { Config, JournalEvent } from '#core/contract/event.ts';
import { systemClock } from '#core/clock.ts';
import {
  addCounts,
  type Load,
  MAX_PARENT_REPORTS,
  type ParentReport,
  type PurgeReport,
} from '#core/contract/report.ts';
import { addEstimates, type Question, type Said } from '#core/contract/question.ts';
import { CanopyError } from '#core/errors.ts';
import { nodeExplained } from '#core/explain/merge.ts';
import type { DatabaseContent } from '#core/geography/node-geography.ts';
import type { Placed, Placement } from '#core/node/placement.ts';
import type { SharedPace } from '#core/node/shared-pace.ts';
import type { NodeLog } from '#core/telemetry/access-log/node-log.ts';
import type { Lines } from '#core/telemetry/access-log/thread-log.ts';
import { Samples } from '#core/telemetry/samples.ts';
import type { NodeDisk } from './disk/node-disk.ts';
import type { AtHome } from './place.ts';
import type { NodeTls } from './tls/node-tls.ts';
import type { FromThread, Scheme, ThreadData, ThreadPlace, ToThread } from './thread-messages.ts';

export interface ThreadsOptions {
  /** The module that a thread runs. */
  readonly module: URL;
  readonly count: number;
  readonly data: ThreadData;
  readonly disk?: Pick<NodeDisk, 'connect'> | undefined;
  readonly tls?: Pick<NodeTls, 'connect'> | undefined;
  readonly accessLog?: Pick<NodeLog, 'write'> | undefined;
  readonly log: {
    error(fields: object, message: string): void;
  };
}

interface Address {
  readonly scheme: Scheme;
  readonly host: string;
  readonly port: number;
}

type Applied = (report: PurgeReport | undefined) => void;

interface Thread {
  readonly slot: number;
  readonly worker: Worker;
  /** Events sent and not yet applied, by id. */
  readonly pending: Map<number, Applied>;
  /** Objects that it places, by id. */
  readonly placing: Map<number, (placed: Placed | AtHome) => void>;
  /** Questions that it has not answered, by id. */
  readonly asked: Map<number, (said: Said | undefined) => void>;
  /** Those who wait for it to be measured. */
  readonly measuring: Map<number, () => void>;
  load: Load;
  samples: Samples;
  /** When it was last heard of, `Clock.monotonicMs`. */
  heardAtMs: number;
  parents: readonly ParentReport[];
}

/** A thread that takes longer to be measured is left as it was when last heard of. */
const MEASURE_LIMIT_MS = 1_000;

const NO_LOAD: Load = {
  requests: 0,
  hits: 0,
  hitBytes: 0,
  upstreamRequests: 0,
  bytesSent: 0,
  objects: 0,
  storedBytes: 0,
  connections: 0,
  tunnels: 0,
};

/** The serving threads of a node: all heed every event, and one that dies is replaced. */
export class Threads {
  readonly #options: ThreadsOptions;
  readonly #threads = new Set<Thread>();
  #config: Config | undefined;
  /** The event that is being heeded, or was last, and the configuration before it. */
  #latest: { readonly before: Config; readonly event: JournalEvent } | undefined;
  /** Where every thread listens. */
  readonly #addresses: Address[] = [];
  /** Totals of threads that have died. */
  #past: Load = NO_LOAD;
  #down: readonly string[] = [];
  /** Databases of where addresses are that have been read anew, by file. */
  readonly #renewed = new Map<string, DatabaseContent>();
  readonly #pastSamples = new Samples();
  #failed = 0;
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
    const before = this.#config;
    this.#config = config;
    // Memory alone has nothing of what is older than the thread.
    this.#latest = this.#options.disk && before && event && { before, event };
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
  async listen(host: string, port: number, scheme: Scheme = 'http'): Promise<string> {
    const [first, ...others] = this.#threads;
    if (first === undefined) throw new Error('A node has at least one thread');
    const bound = await this.#listen(first, { scheme, host, port });
    const address = { scheme, host, port: bound.port };
    this.#addresses.push(address);
    await Promise.all(others.map((thread) => this.#listen(thread, address)));
    return bound.url;
  }

  load(): Load {
    return [...this.#threads].reduce((sum, { load }) => addLoads(sum, load), this.#past);
  }

  /** What all threads have to say to a question. */
  async answer(question: Question): Promise<Said> {
    const answers = [...this.#threads].map(({ worker, asked }) => {
      const id = this.#nextId++;
      return new Promise<Said | undefined>((resolve) => {
        asked.set(id, resolve);
        worker.postMessage({ type: 'question', id, question } satisfies ToThread);
      });
    });
    const said = (await Promise.all(answers)).filter((one) => one !== undefined);
    if ('explain' in question) {
      const explained = said.flatMap((one) => ('explained' in one ? [one.explained] : []));
      return { explained: nodeExplained(explained) };
    }
    return {
      estimate: addEstimates(said.flatMap((one) => ('estimate' in one ? [one.estimate] : []))),
    };
  }

  /** Adds what all threads have measured, by now where they answer in time. */
  async sample(samples: Samples): Promise<void> {
    await Promise.all([...this.#threads].map((thread) => this.#measure(thread)));
    samples.addAll(this.#pastSamples);
    for (const thread of this.#threads) samples.addAll(thread.samples);
    samples.add('canopy_threads', this.#threads.size);
    samples.add('canopy_threads_failed_total', this.#failed);
  }

  /** For how long one of the threads has not been heard of, ms. */
  get silentForMs(): number {
    const now = systemClock.monotonicMs();
    return Math.max(0, ...[...this.#threads].map(({ heardAtMs }) => now - heardAtMs));
  }

  /** Parents that are not well, as the thread that thinks worst of each sees it. */
  parents(): readonly ParentReport[] {
    const worst = new Map<string, ParentReport>();
    for (const report of [...this.#threads].flatMap(({ parents }) => parents)) {
      if (worst.get(report.name)?.standing !== 'open') worst.set(report.name, report);
    }
    return [...worst.values()].slice(0, MAX_PARENT_REPORTS);
  }

  /** Tells every thread which parents the node's checks have down. */
  checked(down: readonly string[]): void {
    this.#down = down;
    for (const { worker } of this.#threads) {
      worker.postMessage({ type: 'checked', down } satisfies ToThread);
    }
  }

  /** A database of where addresses are has been read anew. */
  renewed(database: DatabaseContent): void {
    this.#renewed.set(database.file, database);
    for (const { worker } of this.#threads) {
      worker.postMessage({ type: 'geography', database } satisfies ToThread);
    }
  }

  /** Stores an object in the thread where it is at home. */
  async place(
    placement: Placement,
    pace: SharedPace | undefined,
    signal: AbortSignal,
  ): Promise<Placed> {
    const [first] = this.#threads;
    if (first === undefined) return THREAD_LOST;
    const placed = await this.#place(first, placement, false, pace, signal);
    if (placed.kind !== 'sibling') return placed;
    const home = [...this.#threads].find(({ slot }) => slot === placed.slot);
    const atHome = home && (await this.#place(home, placement, true, pace, signal));
    return atHome === undefined || atHome.kind === 'sibling' ? THREAD_LOST : atHome;
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
    const { module, data } = this.#options;
    // Slot 0 is that of the main thread.
    const disk = this.#options.disk?.connect(slot + 1);
    const tls = this.#options.tls?.connect();
    const workerData: ThreadPlace = { ...data, slot, disk, tls };
    const transferList = [disk, tls].flatMap((one) => one?.port ?? []);
    const worker = new Worker(module, { workerData, transferList });
    const thread: Thread = {
      slot,
      worker,
      pending: new Map(),
      placing: new Map(),
      asked: new Map(),
      measuring: new Map(),
      load: NO_LOAD,
      parents: [],
      samples: new Samples(),
      heardAtMs: systemClock.monotonicMs(),
    };
    for (const other of this.#threads) introduce(thread, other);
    worker.postMessage({ type: 'checked', down: this.#down } satisfies ToThread);
    for (const database of this.#renewed.values()) {
      worker.postMessage({ type: 'geography', database } satisfies ToThread);
    }
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
    } else if (message.type === 'placed') {
      thread.placing.get(message.id)?.(message.placed);
      thread.placing.delete(message.id);
    } else if (message.type === 'changed') void this.#tell(thread, message);
    else if (message.type === 'load') {
      thread.load = message.load;
      thread.parents = message.parents;
      thread.heardAtMs = systemClock.monotonicMs();
    } else if (message.type === 'measured') {
      thread.samples = new Samples(message.samples);
      if (message.id !== undefined) thread.measuring.get(message.id)?.();
    } else if (message.type === 'said') {
      thread.asked.get(message.id)?.(message.said);
      thread.asked.delete(message.id);
    } else if (message.type === 'explain') {
      void this.#explain(thread, message);
    } else if (message.type === 'log') {
      void this.#write(thread, message.lines);
    } else if (message.type === 'error') {
      this.#options.log.error({ detail: message.message }, 'A request has failed');
    }
  }

  async #write({ worker }: Thread, { memory, bytes, count }: Lines): Promise<void> {
    await this.#options.accessLog?.write(new Uint8Array(memory, 0, bytes), count);
    worker.postMessage({ type: 'logged', memory } satisfies ToThread, [memory]);
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

  async #explain(
    { worker }: Thread,
    { id, asked }: FromThread & { type: 'explain' },
  ): Promise<void> {
    const said = await this.answer({ id: String(id), explain: asked }).catch(() => undefined);
    const explained = said !== undefined && 'explained' in said ? said.explained : undefined;
    worker.postMessage({ type: 'explained', id, explained } satisfies ToThread);
  }

  /** What a dead thread held is gone with it, so it has heeded whatever it was sent; not so what is on disk. */
  #replace(dead: Thread): void {
    this.#threads.delete(dead);
    for (const answered of dead.asked.values()) answered(undefined);
    for (const measured of dead.measuring.values()) measured();
    for (const placed of dead.placing.values()) placed(THREAD_LOST);
    // What it had open and stored is gone with it; what it counted is not.
    const now = { objects: 0, storedBytes: 0, connections: 0, tunnels: 0 };
    this.#past = addLoads(this.#past, { ...dead.load, ...now });
    this.#pastSamples.addAll(dead.samples.counted());
    if (!this.#closing) this.#failed++;
    const heeded = this.#closing ? undefined : this.#restart(dead.slot);
    const isHeld = heeded !== undefined && this.#options.disk !== undefined;
    const settle = (): void => {
      for (const applied of dead.pending.values()) applied(undefined);
    };
    if (isHeld) void heeded.then(settle);
    else settle();
  }

  /** Resolves when the new thread has heeded what it needs to serve. */
  async #restart(slot: number): Promise<void> {
    const thread = this.#start(slot);
    const [config, latest] = [this.#config, this.#latest];
    if (config === undefined) return;
    const configured = this.#send(thread, latest?.before ?? config, undefined, false);
    // Perhaps nobody has heeded it, so that what is on disk tells nothing of it.
    const told = latest && this.#send(thread, config, latest.event, false);
    for (const address of this.#addresses) {
      this.#listen(thread, address).catch((error: unknown) =>
        this.#options.log.error({ err: error }, 'A new thread cannot listen'),
      );
    }
    await configured;
    await told;
  }

  #send(
    thread: Thread,
    config: Config,
    event: JournalEvent | undefined,
    reset: boolean,
  ): Promise<PurgeReport | undefined> {
    return this.#ask(thread, (id) =>
      event === undefined
        ? { type: 'config', id, config, reset }
        : { type: 'event', id, event, reset },
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

  async #place(
    thread: Thread,
    placement: Placement,
    atHome: boolean,
    pace: SharedPace | undefined,
    signal: AbortSignal,
  ): Promise<Placed | AtHome> {
    const id = this.#nextId++;
    const { promise, resolve } = Promise.withResolvers<Placed | AtHome>();
    thread.placing.set(id, resolve);
    const say = (message: ToThread): void => thread.worker.postMessage(message);
    const giveUp = (): void => say({ type: 'give-up', id });
    signal.addEventListener('abort', giveUp);
    say({ type: 'place', id, placement, atHome, pace });
    if (signal.aborted) giveUp();
    return promise.finally(() => signal.removeEventListener('abort', giveUp));
  }

  async #measure(thread: Thread): Promise<void> {
    const id = this.#nextId++;
    const { promise, resolve } = Promise.withResolvers<void>();
    thread.measuring.set(id, resolve);
    const cancel = systemClock.after(MEASURE_LIMIT_MS, resolve);
    thread.worker.postMessage({ type: 'measure', id } satisfies ToThread);
    await promise;
    cancel();
    thread.measuring.delete(id);
  }

  #listen(thread: Thread, address: Address): Promise<FromThread & { type: 'listening' }> {
    const reusePort = this.#options.count > 1;
    return new Promise((resolve, reject) => {
      const answer = (message: FromThread): void => {
        if (message.type !== 'listening' && message.type !== 'not-listening') return;
        if (message.scheme !== address.scheme) return;
        thread.worker.off('message', answer);
        if (message.type === 'listening') resolve(message);
        else reject(new CanopyError(message.code, message.message));
      };
      thread.worker.on('message', answer);
      thread.worker.postMessage({ type: 'listen', ...address, reusePort } satisfies ToThread);
    });
  }
}

const THREAD_LOST: Placed = { kind: 'failed', reason: 'thread-lost', isTransient: true };

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
  hitBytes: a.hitBytes + b.hitBytes,
  upstreamRequests: a.upstreamRequests + b.upstreamRequests,
  bytesSent: a.bytesSent + b.bytesSent,
  objects: a.objects + b.objects,
  storedBytes: a.storedBytes + b.storedBytes,
  connections: a.connections + b.connections,
  tunnels: a.tunnels + b.tunnels,
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
