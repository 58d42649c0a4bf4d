import { mkdir, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { type Counted, Tally } from '#core/cache/tally.ts';
import type { Cancel, Clock } from '#core/clock.ts';
import { sampleTally } from '#core/telemetry/store-samples.ts';
import type { Samples } from '#core/telemetry/samples.ts';
import { Files } from './files.ts';
import { Counts } from './counts.ts';
import { DurableEpochs, type StoredFence, ToldFence } from './durable-fence.ts';
import { Sequence } from './eviction.ts';
import { canWriteTo, type Health, HealthWatch, indexFailure } from './health.ts';
import type { IndexDb } from './index-db.ts';
import type { Ledger } from './ledger.ts';
import { type Budget, indexMapBytes, Limits, rememberedKeys, type UnderWay } from './limits.ts';
import type { Change, DiskPlace, FromKeeper, ToKeeper } from './messages.ts';
import { indexSettled, openIndex, suspectIndex } from './open-index.ts';
import { keyHash, shortHash } from './record.ts';
import { type Order, Orders, writeOrder } from './orders.ts';
import { Room } from './room.ts';
import { SharedState } from './shared.ts';
import { expire, sweepFiles } from './upkeep.ts';

/** The keeper's row of counters. */
const ROW = 0;
const UPKEEP_MS = 1_000;
/** After so long an index has been used enough to be trusted with the next start. */
const SETTLED_MS = 60_000;

export interface KeeperOptions extends Budget {
  /** The store's own; made where it is missing. */
  readonly dir: string;
  readonly clock: Clock;
  readonly log: { warn(message: string): void };
  /** Told whenever it changes. */
  readonly onHealth?: (health: Health) => void;
  /** Has the system flush each file before it is committed. Without it a power failure may damage the latest, which is then noticed. */
  readonly syncFiles?: boolean;
}

interface Asked {
  readonly port: MessagePort;
  readonly id: number;
}

/**
 * Keeps the disk store of one process: all threads read for themselves, and one decides what is
 * stored and what goes, so that they do not make room against one another. Belongs into a thread
 * that serves nobody, for it waits for the disk.
 */
export class Keeper {
  readonly #options: KeeperOptions;
  readonly #index: IndexDb;
  readonly #files: Files;
  readonly #run: number;
  readonly #shared: SharedState;
  readonly #sequence: Sequence;
  readonly #epochs: DurableEpochs;
  readonly #limits: Limits;
  readonly #health: HealthWatch;
  readonly #room: Room;
  readonly #tally = new Tally();
  readonly #fence: ToldFence;
  /** How often the disk has failed, by the system's code. */
  readonly #failures = new Map<string, number>();
  readonly #orders = new Orders();
  /** Who waits until all is written down. */
  #settling: Asked[] = [];
  /** Who waits to be told of the fence. */
  #recalling: Asked[] = [];
  #isScheduled = false;
  #cancelUpkeep: Cancel | undefined;
  readonly #cancelSettled: Cancel;
  #expiredUpTo = -1;
  /** The index has failed, so that the next start is to read all of it first. */
  #isSuspect = false;
  #closed = false;
  /** When all that earlier runs left behind is swept. */
  readonly swept: Promise<void>;

  private constructor(options: KeeperOptions, index: IndexDb, files: Files, run: number) {
    this.#options = options;
    this.#index = index;
    this.#files = files;
    this.#run = run;
    this.#shared = new SharedState(rememberedKeys(options.budgetBytes));
    this.#sequence = new Sequence(index);
    this.#epochs = new DurableEpochs(index);
    this.#fence = new ToldFence(index);
    this.#shared.era = this.#fence.era;
    this.#limits = new Limits(options);
    this.#room = new Room({
      index,
      shared: this.#shared,
      sequence: this.#sequence,
      limits: this.#limits,
      change: (work) => this.#change(work),
      failed: (error) => this.#failed(error),
      isClosed: () => this.#closed,
    });
    this.#health = new HealthWatch({
      clock: options.clock,
      probe: () => this.#works(),
      onChange: (health) => this.#healthChanged(health),
    });
    const counts = new Counts();
    this.swept = sweepFiles(
      index,
      files,
      run,
      () => this.#closed,
      (left) => counts.add('damaged', left),
    ).then(
      () => {
        counts.write(this.#shared, ROW, this.#tally);
        this.#shared.changed();
      },
      (error: unknown) => this.#failed(error),
    );
    this.#scheduleUpkeep();
    this.#cancelSettled = options.clock.after(SETTLED_MS, () => {
      void this.#trustIndex();
    });
  }

  /**
   * Opens the store in `options.dir`, or begins a new one there. Looks at nothing that is stored.
   * @throws CanopyError `conflict` where another process has it open; what the system says where
   * the directory cannot be written
   */
  static async open(options: KeeperOptions): Promise<Keeper> {
    await mkdir(options.dir, { recursive: true });
    const files = new Files(join(options.dir, 'files'));
    const { index, run } = await openIndex({
      ...options,
      files,
      mapBytes: indexMapBytes(options.budgetBytes),
    });
    const keeper = new Keeper(options, index, files, run);
    await keeper.upkeep();
    return keeper;
  }

  /** What is known of the fence. */
  get fence(): StoredFence {
    return this.#fence.stored;
  }

  /** What threads were promised for files that are not committed. */
  get underWay(): UnderWay {
    return this.#room.underWay;
  }

  get health(): Health {
    return this.#health.now;
  }

  /**
   * What a thread opens the store with.
   * @param slot of the thread, from 1; one that takes the place of another takes its slot
   */
  connect(slot: number): { readonly place: DiskPlace; readonly port: MessagePort } {
    const { port1, port2 } = new MessageChannel();
    this.accept(port1);
    return { place: this.place(slot), port: port2 };
  }

  /** Takes orders from the thread that holds the other end of `port`. */
  accept(port: MessagePort): void {
    this.#room.open(port);
    port.on('message', (message: ToKeeper) => void this.#receive(port, message));
    port.once('close', () => this.#room.close(port));
    port.unref();
  }

  /** @param slot see `connect` */
  place(slot: number): DiskPlace {
    const { dir, budgetBytes, syncFiles = false } = this.#options;
    return {
      dir,
      run: this.#run,
      budgetBytes,
      maxObjectBytes: this.#limits.maxObjectBytes,
      mapBytes: indexMapBytes(budgetBytes),
      syncFiles,
      shared: this.#shared.buffer,
      slot,
    };
  }

  /** Adds what it has counted and holds; sites by their names. */
  sample(samples: Samples): void {
    try {
      const { files, queued } = this.#index.totals;
      samples.add('canopy_disk_files', files);
      samples.add('canopy_disk_reserved_bytes', queued.reserve);
    } catch (error) {
      this.#failed(error);
    }
    for (const [code, count] of this.#failures) {
      samples.add('canopy_disk_failures_total', count, code);
    }
    sampleTally(this.#tally, 'disk', samples);
  }

  /** Sees to free space, expiry and room ahead of need; called every second. */
  async upkeep(): Promise<void> {
    if (this.#closed) return;
    try {
      const { bavail, bsize } = await statfs(this.#options.dir);
      if (this.#closed) return;
      this.#limits.observeFree(this.#index.totals, bavail * bsize);
      await this.#room.makeAhead();
      if (this.#limits.isExhausted) this.#degrade('ENOSPC');
      if (!this.#closed && this.health.state === 'ok') this.#expire();
    } catch (error) {
      this.#failed(error);
    }
  }

  /** Nothing is committed any more once this is called. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelUpkeep?.();
    this.#cancelSettled();
    this.#health.close();
    await this.swept;
    for (const port of this.#room.ports()) port.close();
    await this.#files.settled();
    await this.#index.close();
    await this.#trustIndex();
  }

  /** The next start need not look closer. */
  async #trustIndex(): Promise<void> {
    if (this.#isSuspect) return;
    await indexSettled(this.#options.dir).catch((error: unknown) => this.#failed(error));
  }

  async #receive(port: MessagePort, message: ToKeeper): Promise<void> {
    if (this.#closed) return;
    switch (message.type) {
      case 'commit': {
        const { id, commit } = message;
        this.#orders.commit({ kind: 'commit', commit, port, id });
        this.#schedule();
        break;
      }
      case 'change':
        this.#heed(message.change);
        this.#orders.change(message.change);
        this.#schedule();
        break;
      case 'recall':
        // What other threads have sent before, by ports of their own, is heeded first.
        this.#recalling.push({ port, id: message.id });
        this.#schedule();
        break;
      case 'settle':
        this.#settling.push({ port, id: message.id });
        this.#schedule();
        break;
      case 'room': {
        const { id, bytes, opens } = message;
        const ok = await this.#room.grant(port, bytes, opens);
        port.postMessage({ id, ok } satisfies FromKeeper);
        break;
      }
      case 'release':
        this.#room.giveBack(port, message.bytes);
        break;
      case 'failed':
        this.#degrade(message.code);
        break;
    }
  }

  /** What is to be written down counts at once for every thread that starts. */
  #heed(change: Change): void {
    if (change.kind === 'raise') this.#fence.raise(change.scope, change.purge);
    if (change.kind === 'forget') this.#fence.forget(change.one);
    if (change.kind !== 'follow' || !this.#fence.follow(change.journal, change.at)) return;
    this.#shared.era = this.#fence.era;
    this.#shared.changed();
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      if (this.#closed) return;
      const batch = this.#orders.takeBatch();
      if (!this.#orders.isEmpty) this.#schedule();
      if (batch.length > 0) this.#write(batch);
      this.#answerRecalling();
      this.#answerSettled();
    });
  }

  /** Makes what threads have asked for true, all of it or nothing. */
  #write(batch: readonly Order[]): void {
    let stored: readonly boolean[] | undefined;
    // Their files are counted as what is stored from here on.
    for (const one of batch)
      if (one.kind === 'commit') this.#room.giveBack(one.port, one.commit.roomBytes);
    const { underWay } = this.#room;
    this.#shared.isCommitting = true;
    try {
      stored = this.#change((ledger, counts) =>
        batch.map((one) =>
          writeOrder(one, {
            index: this.#index,
            shared: this.#shared,
            sequence: this.#sequence,
            epochs: this.#epochs,
            ledger,
            counts,
            reserveBytes: this.#limits.reserveBytes,
            fits: (totals) => this.#limits.fits(totals, underWay),
          }),
        ),
      );
    } catch (error) {
      this.#epochs.undone();
      this.#failed(error);
    } finally {
      this.#shared.isCommitting = false;
    }
    for (const [i, one] of batch.entries()) {
      if (one.kind === 'commit') this.#answerCommit(one, stored?.[i] ?? false);
      else if (stored !== undefined) this.#settled(one);
      // Until it is written down, its keys stay hidden and the fence where it is.
      else this.#orders.owe(one);
    }
  }

  #answerCommit({ commit, port, id }: Order & { kind: 'commit' }, ok: boolean): void {
    this.#count(commit.site, ok ? 'stored' : 'refused', 1);
    if (ok) this.#count(commit.site, 'storedBytes', commit.at.size);
    port.postMessage({ id, ok } satisfies FromKeeper);
  }

  #count(site: string, what: Counted, by: number): void {
    this.#shared.count(ROW, what, by);
    this.#tally.count(site, what, by);
  }

  #settled(change: Change): void {
    if (change.kind === 'drop') this.#shared.writtenHidden(shortHash(keyHash(change.drop.key)));
    else this.#shared.written();
  }

  #answerRecalling(): void {
    for (const { port, id } of this.#recalling.splice(0))
      port.postMessage({ id, ok: true, fence: this.#fence.stored } satisfies FromKeeper);
  }

  #answerSettled(): void {
    if (this.#settling.length === 0 || this.#shared.pending > 0 || !this.#orders.isEmpty) return;
    for (const { port, id } of this.#settling)
      port.postMessage({ id, ok: true } satisfies FromKeeper);
    this.#settling = [];
  }

  /** Changes the index, lets the threads know, and removes what is nobody's afterwards. */
  #change<T>(work: (ledger: Ledger, counts: Counts) => T): T {
    this.#limits.observeIndex(this.#index.indexBytes);
    const counts = new Counts();
    const { result, freed } = this.#index.transact((ledger) => work(ledger, counts));
    counts.write(this.#shared, ROW, this.#tally);
    this.#shared.changed();
    this.#shared.isIndexFull = this.#limits.isIndexFull(this.#index.totals);
    for (const file of freed) void this.#files.remove(file);
    return result;
  }

  #expire(): void {
    this.#expiredUpTo = this.#change((ledger, counts) =>
      expire(this.#index, ledger, this.#expiredUpTo, this.#options.clock.now(), (left) =>
        counts.add('expired', left),
      ),
    );
  }

  #scheduleUpkeep(): void {
    this.#cancelUpkeep = this.#options.clock.after(UPKEEP_MS, () => {
      void this.upkeep().then(() => {
        if (!this.#closed) this.#scheduleUpkeep();
      });
    });
  }

  #failed(error: unknown): void {
    this.#degrade(indexFailure(error));
  }

  async #works(): Promise<boolean> {
    if (this.#limits.isExhausted || !(await canWriteTo(this.#options.dir))) return false;
    try {
      this.#index.set('probedAt', this.#options.clock.now());
      return true;
    } catch {
      return false;
    }
  }

  #degrade(code: string): void {
    if (code === 'index' && !this.#isSuspect) {
      this.#isSuspect = true;
      void suspectIndex(this.#options.dir).catch(() => undefined);
    }
    this.#health.failed(code);
  }

  #healthChanged(health: Health): void {
    this.#shared.isRefusing = health.state === 'degraded';
    this.#options.onHealth?.(health);
    if (health.state === 'degraded') {
      this.#failures.set(health.code, (this.#failures.get(health.code) ?? 0) + 1);
      this.#options.log.warn(`The disk store takes nothing more for now: ${health.reason}`);
      return;
    }
    this.#options.log.warn('The disk store works again');
    this.#orders.retry();
    this.#schedule();
  }
}
