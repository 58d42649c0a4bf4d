import { join } from 'node:path';
import type { MessagePort } from 'node:worker_threads';
import { Body } from '#core/cache/body.ts';
import type { ScopeEpoch } from '#core/cache/epochs.ts';
import type { StoredBody, StoredObject } from '#core/cache/object.ts';
import type { Scope } from '#core/cache/scopes.ts';
import type {
  Draft,
  Keeping,
  PurgeMark,
  Store,
  StoreStats,
  StoreTally,
  Volume,
  Writer,
} from '#core/cache/store.ts';
import { type Counted, Tally } from '#core/cache/tally.ts';
import type { Samples } from '#core/telemetry/samples.ts';
import { commitOf, DiskWriter, type Start } from './disk-writer.ts';
import { storedEpochs, type StoredFence, storedFence } from './durable-fence.ts';
import { FileBody } from './file-body.ts';
import { fileNumber, Files } from './files.ts';
import { indexFailure } from './health.ts';
import { IndexDb } from './index-db.ts';
import { KeeperLink } from './keeper-link.ts';
import type { DiskPlace, Drop } from './messages.ts';
import { asOfIn, keyHash, type KeyRecord, shortHash, type Variant } from './record.ts';
import { SharedState } from './shared.ts';
import { isMeant } from './upkeep.ts';

const SWEEP_BATCH = 200;
/** Content of objects that are being put whole. A disk that is slower than what comes gets no more. */
export const PUT_BYTES = 32 * 1024 * 1024;
/** What an object counts for beside its content. */
const PUT_OVERHEAD_BYTES = 4096;
const NOTHING: Volume = { objects: 0, bytes: 0 };
const NONE: readonly never[] = [];

/**
 * Objects on disk, shared by all threads of the process and kept over its end. Each thread reads
 * for itself and hides at once what is dropped; all that is written goes through the keeper.
 */
export class DiskStore implements Store {
  readonly #place: DiskPlace;
  readonly #index: IndexDb;
  readonly #files: Files;
  readonly #keeper: KeeperLink;
  readonly #shared: SharedState;
  readonly #tally = new Tally();
  /** Bodies that are being put. */
  readonly #writing = new Set<Promise<boolean>>();
  #writingBytes = 0;
  #generation = -1;

  /** @param port to the keeper, see `Keeper.connect` */
  constructor(place: DiskPlace, port: MessagePort) {
    this.#place = place;
    this.#index = new IndexDb(place.dir, place.mapBytes);
    this.#files = new Files(join(place.dir, 'files'));
    this.#shared = new SharedState(place.shared);
    this.#keeper = new KeeperLink(port);
  }

  lookup(key: string): readonly StoredObject[] {
    const { slot } = this.#place;
    this.#shared.count(slot, 'lookups');
    const hash = keyHash(key);
    const record = this.#files.latencies.timedSync('lookup', () => this.#find(key, hash));
    if (record === undefined) return NONE;
    this.#shared.touch(shortHash(hash));
    this.#count(record.site, 'hits');
    this.#count(record.site, 'hitBytes', record.variants[0]?.at.size);
    return this.#objects(record);
  }

  peek(key: string): readonly StoredObject[] {
    const record = this.#find(key, keyHash(key));
    return record === undefined ? NONE : this.#objects(record);
  }

  /**
   * An object found here before may be put with other fields and the body it had, which stays where
   * it is as long as some variant has it. Refused while as much as may wait for the disk does.
   */
  put(object: StoredObject, keeping: Keeping | number = {}): boolean | Promise<boolean> {
    const how = typeof keeping === 'number' ? { maxVariants: keeping } : keeping;
    const { body, ...head } = object;
    if (body instanceof FileBody) {
      if (this.#shared.isRefusing) return this.#refused(object.site);
      const at = { size: body.size, file: body.file };
      return this.#keeper.commit(commitOf(head, at, undefined, how, this.#start(), 0));
    }
    const bytes = body.size + PUT_OVERHEAD_BYTES;
    if (this.#writing.size > 0 && this.#writingBytes + bytes > PUT_BYTES) {
      return this.#refused(object.site);
    }
    const writer = this.reserve(object, body.size, how);
    if (writer === undefined) return false;
    this.#writingBytes += bytes;
    const writing = writeWhole(writer, body, head).finally(() => {
      this.#writing.delete(writing);
      this.#writingBytes -= bytes;
    });
    this.#writing.add(writing);
    return writing;
  }

  reserve({ site }: Draft, expectedBytes?: number, keeping: Keeping = {}): Writer | undefined {
    const { maxObjectBytes, run, syncFiles } = this.#place;
    if (this.#shared.isRefusing || (expectedBytes ?? 0) > maxObjectBytes) {
      this.#refused(site);
      return undefined;
    }
    return new DiskWriter({
      expectedBytes,
      maxObjectBytes,
      keeping,
      start: this.#start(),
      mayInline: !this.#shared.isIndexFull,
      keeper: this.#keeper,
      files: this.#files,
      number: () => fileNumber(run, this.#shared.nextFile()),
      syncFiles,
      onRefused: () => void this.#refused(site),
    });
  }

  release(): void {
    // Nothing is in memory.
  }

  drop({ key, selector }: Pick<StoredObject, 'key' | 'selector'>): void {
    this.#fence(key);
    this.#order({
      key,
      which: { kind: 'selector', selector, era: this.#shared.era },
      reason: 'purged',
    });
  }

  delete(key: string, prefix = ''): Volume {
    this.#fence(key);
    return this.#order({ key, which: { kind: 'prefix', prefix }, reason: 'purged' });
  }

  purge(key: string, { sequence, mode, at }: PurgeMark): Volume {
    this.#fence(key);
    const softPurgedAt = mode === 'soft' ? at : undefined;
    return this.#order({
      key,
      which: { kind: 'before', sequence, era: this.#shared.era },
      softPurgedAt,
      reason: 'purged',
    });
  }

  async settled(): Promise<void> {
    await Promise.all(this.#writing);
    if (this.#shared.pending > 0) await this.#keeper.settled();
  }

  /**
   * Up to where the journal is heeded by all that is stored; 0 in a new store. For each event, all
   * that it purges is purged and raised, then the fence is advanced, then the event is acknowledged.
   * LMDB keeps the order of commits over a power failure, so that what is lost is lost from the end:
   * what stands here after a restart is never ahead of the purges, and the journal is replayed from it.
   */
  get fence(): number {
    return this.#attempt(() => {
      this.#index.refresh();
      return storedFence(this.#index);
    }, 0);
  }

  /** The purges of whole scopes, which are up to who looks up: see `Fence.restore`. */
  get epochs(): readonly ScopeEpoch[] {
    this.#index.refresh();
    return storedEpochs(this.#index);
  }

  /** Remembers a purge of all in a scope. */
  raise(scope: Scope, purge: PurgeMark): void {
    this.#shared.order();
    this.#keeper.change({ kind: 'raise', scope, purge });
  }

  /** Forgets a purge of all in a scope that concerns nothing any more, unless there was one since. */
  forget(one: ScopeEpoch): void {
    this.#shared.order();
    this.#keeper.change({ kind: 'forget', one });
  }

  /**
   * Resolves when the event, and all that any thread has purged before this is called, will be
   * heeded after a crash; as long as the disk fails, not at all.
   * @returns `false`: the store was closed before
   */
  advance(sequence: number): Promise<boolean> {
    return this.#keeper.advance(this.#shared, sequence);
  }

  /** What is known of the fence, by every thread's doing so far; `undefined`: the store was closed. */
  recall(): Promise<StoredFence | undefined> {
    return this.#keeper.recall();
  }

  forgetFences(): void {
    // All threads do so at once, when the keeper is told of another journal.
  }

  sweep(isPurged: (object: StoredObject) => boolean): Promise<void> {
    return this.#overBatches((objects, era) => {
      for (const { key, selector, asOf } of objects.filter(isPurged)) {
        this.#order({ key, which: { kind: 'selector', selector, asOf, era }, reason: 'purged' });
      }
      return true;
    });
  }

  scan(visit: (object: StoredObject) => boolean | void): Promise<void> {
    return this.#overBatches((objects) => objects.every((object) => visit(object) !== false));
  }

  /** @param visit is given the objects of a key, and returns whether there is more to be done */
  async #overBatches(
    visit: (objects: readonly StoredObject[], era: number) => boolean,
  ): Promise<void> {
    let last = -1;
    for (;;) {
      const { era } = this.#shared;
      const records: readonly (KeyRecord | undefined)[] = this.#attempt(() => {
        this.#refresh();
        const ids = this.#index.after(last, SWEEP_BATCH);
        last = ids.at(-1) ?? last;
        return ids.map((id) => this.#index.at(id)?.record);
      }, []);
      if (records.length === 0) return;
      for (const record of records) {
        if (record !== undefined && !visit(this.#objects(record), era)) return;
      }
      await this.settled();
    }
  }

  volume(site?: string): Volume {
    return this.#attempt(() => {
      this.#refresh();
      return this.#index.volume(site);
    }, NOTHING);
  }

  /** Of all threads together, so that one of them is asked. */
  stats(): readonly StoreStats[] {
    const total = this.#shared.total.bind(this.#shared);
    return [
      {
        tier: 'disk',
        policy: 's3-fifo',
        ...this.volume(),
        budgetBytes: this.#place.budgetBytes,
        lookups: total('lookups'),
        hits: total('hits'),
        hitBytes: total('hitBytes'),
        stored: total('stored'),
        storedBytes: total('storedBytes'),
        refused: total('refused'),
        evicted: {
          capacity: total('capacity'),
          expired: total('expired'),
          purged: total('purged'),
          replaced: total('replaced'),
          variants: total('variants'),
          released: total('released'),
          damaged: total('damaged'),
        },
        evictedBytes: total('evictedBytes'),
      },
    ];
  }

  /** What the keeper counts is told by it. */
  tallies(): readonly StoreTally[] {
    return [{ tier: 'disk', tally: this.#tally, volume: (site) => this.volume(site) }];
  }

  /** Adds how long this thread waits for the disk. */
  sample(samples: Samples): void {
    this.#files.latencies.sample(samples);
  }

  async close(): Promise<void> {
    this.#keeper.close();
    await this.#files.settled();
    await this.#index.close();
  }

  #refresh(): void {
    const { generation } = this.#shared;
    if (generation === this.#generation) return;
    this.#generation = generation;
    this.#index.refresh();
  }

  /** What is stored under a key and is not about to be dropped. */
  #find(key: string, hash: string): KeyRecord | undefined {
    if (this.#shared.isHidden(shortHash(hash))) return undefined;
    return this.#attempt(() => {
      this.#refresh();
      const record = this.#index.find(hash)?.record;
      return record?.key === key ? record : undefined;
    }, undefined);
  }

  /** Where the index cannot be read, nothing is stored. */
  #attempt<T>(read: () => T, otherwise: T): T {
    try {
      return read();
    } catch (error) {
      this.#keeper.failed(indexFailure(error));
      return otherwise;
    }
  }

  #objects(record: KeyRecord): StoredObject[] {
    return record.variants.map((variant) => this.#object(record, variant));
  }

  #object(record: KeyRecord, variant: Variant): StoredObject {
    const { at: _at, era: _era, ...head } = variant;
    const { key, site } = record;
    // JSON leaves out what is undefined.
    const { softPurgedAt } = variant;
    const asOf = asOfIn(variant, this.#shared.era);
    return { ...head, asOf, softPurgedAt, key, site, body: this.#body(record, variant) };
  }

  #body(record: KeyRecord, variant: Variant): StoredBody {
    const { size, file } = variant.at;
    if (size === 0) return Body.empty;
    if (file === undefined) {
      const body = record.bodies[record.variants.indexOf(variant)];
      return body === undefined ? Body.empty : new Body([body]);
    }
    return new FileBody(file, size, this.#files, {
      damaged: () => {
        this.#order({ key: record.key, which: { kind: 'file', file }, reason: 'damaged' });
      },
      failed: (code) => code !== undefined && this.#keeper.failed(code),
    });
  }

  /** Commits that have begun are not to show any more. */
  #fence(key: string): void {
    this.#shared.raiseFence(shortHash(keyHash(key)));
  }

  /** Has dropped what is meant, which nobody finds from now on. @returns what that is */
  #order(drop: Drop): Volume {
    const hash = keyHash(drop.key);
    const short = shortHash(hash);
    // A commit that was decided before the fence rose can still show. Where none is under way, what
    // is not there need not be dropped, as most is not.
    const isCommitting = this.#shared.isCommitting || this.#shared.isHidden(short);
    const record = this.#find(drop.key, hash);
    const meant = record?.variants.filter((variant) => isMeant(variant, drop.which)) ?? [];
    if (meant.length === 0 && !isCommitting) return NOTHING;
    this.#shared.orderHidden(short);
    this.#keeper.change({ kind: 'drop', drop });
    return { objects: meant.length, bytes: meant.reduce((sum, { at }) => sum + at.size, 0) };
  }

  #start(): Start {
    return { ticket: this.#shared.ticket(), era: this.#shared.era };
  }

  #refused(site: string): false {
    this.#count(site, 'refused');
    return false;
  }

  #count(site: string, what: Counted, by = 1): void {
    this.#shared.count(this.#place.slot, what, by);
    this.#tally.count(site, what, by);
  }
}

async function writeWhole(
  writer: Writer,
  { chunks }: Body,
  head: Omit<StoredObject, 'body'>,
): Promise<boolean> {
  for (const chunk of chunks) await writer.write(chunk);
  return writer.commit(head);
}
