import { setImmediate as nextTurn } from 'node:timers/promises';
import { join } from 'node:path';
import type { MessagePort } from 'node:worker_threads';
import { Body } from '#core/cache/body.ts';
import type { StoredBody, StoredObject } from '#core/cache/object.ts';
import type {
  Draft,
  EvictionReason,
  Keeping,
  PurgeMark,
  Store,
  StoreStats,
  Volume,
  Writer,
} from '#core/cache/store.ts';
import { commitOf, DiskWriter } from './disk-writer.ts';
import { DurableFence } from './durable-fence.ts';
import { FileBody } from './file-body.ts';
import { fileNumber, Files } from './files.ts';
import { indexFailure } from './health.ts';
import { type Entry, IndexDb } from './index-db.ts';
import type { Ledger } from './ledger.ts';
import { KeeperLink } from './keeper-link.ts';
import type { DiskPlace } from './messages.ts';
import { keyHash, type KeyRecord, shortHash, type Variant } from './record.ts';
import { SharedState } from './shared.ts';
import { dropVariants } from './upkeep.ts';

const SWEEP_BATCH = 200;
const NOTHING: Volume = { objects: 0, bytes: 0 };
const NONE: readonly never[] = [];

/**
 * Objects on disk, shared by all threads of the process and kept over its end. Each thread reads
 * and drops for itself; what is stored goes through the keeper.
 */
export class DiskStore implements Store {
  /** What of the journal is heeded by what is stored. */
  readonly fence: DurableFence;
  readonly #place: DiskPlace;
  readonly #index: IndexDb;
  readonly #files: Files;
  readonly #keeper: KeeperLink;
  readonly #shared: SharedState;
  #generation = -1;
  /** Changes that could not be written down. */
  #owed: ((ledger: Ledger) => unknown)[] = [];

  /** @param port to the keeper, see `Keeper.connect` */
  constructor(place: DiskPlace, port: MessagePort) {
    this.#place = place;
    this.#index = new IndexDb(place.dir, place.mapBytes);
    this.#files = new Files(join(place.dir, 'files'));
    this.#shared = new SharedState(place.shared);
    this.#keeper = new KeeperLink(port, () => this.#payOwed());
    this.fence = new DurableFence({
      index: this.#index,
      hasOwed: () => this.#shared.owing > 0,
      write: (change) => this.#insist(change),
    });
  }

  lookup(key: string): readonly StoredObject<StoredBody>[] {
    const { slot } = this.#place;
    this.#shared.count(slot, 'lookups');
    const hash = keyHash(key);
    const entry = this.#find(hash);
    if (entry === undefined || entry.record.key !== key) return NONE;
    this.#shared.touch(shortHash(hash));
    this.#shared.count(slot, 'hits');
    this.#shared.count(slot, 'hitBytes', entry.record.variants[0]?.at.size);
    return this.#objects(entry.record);
  }

  /**
   * An object found here before may be put with other fields and the body it had, which stays where
   * it is as long as some variant has it.
   */
  put(
    object: StoredObject<StoredBody>,
    keeping: Keeping | number = {},
  ): boolean | Promise<boolean> {
    const how = typeof keeping === 'number' ? { maxVariants: keeping } : keeping;
    const { body, ...head } = object;
    if (body instanceof FileBody) {
      if (this.#isRefusing()) return this.#refused();
      const at = { size: body.size, file: body.file };
      return this.#keeper.commit(commitOf(head, at, undefined, how, this.#shared.ticket(), 0));
    }
    const writer = this.reserve(object, body.size, how);
    if (writer === undefined) return false;
    return writeWhole(writer, body, head);
  }

  reserve(_draft: Draft, expectedBytes?: number, keeping: Keeping = {}): Writer | undefined {
    const { maxObjectBytes, run, syncFiles } = this.#place;
    if (this.#isRefusing() || (expectedBytes ?? 0) > maxObjectBytes) {
      this.#refused();
      return undefined;
    }
    return new DiskWriter({
      expectedBytes,
      maxObjectBytes,
      keeping,
      ticket: this.#shared.ticket(),
      mayInline: !this.#shared.isIndexFull,
      keeper: this.#keeper,
      files: this.#files,
      number: () => fileNumber(run, this.#shared.nextFile()),
      syncFiles,
    });
  }

  drop({ key, selector }: Pick<StoredObject, 'key' | 'selector'>): void {
    this.#drop(key, 'purged', (variant) => variant.selector !== selector);
  }

  delete(key: string, selector = ''): Volume {
    this.#shared.raiseFence(shortHash(keyHash(key)));
    return this.#drop(key, 'purged', (variant) => !variant.selector.startsWith(selector));
  }

  purge(key: string, { sequence, mode, at }: PurgeMark): Volume {
    this.#shared.raiseFence(shortHash(keyHash(key)));
    if (mode === 'hard') return this.#drop(key, 'purged', ({ asOf }) => asOf >= sequence);
    return this.#change(key, (hash, entry, ledger) => {
      const hit = entry.record.variants.filter(({ asOf }) => asOf < sequence);
      if (hit.length === 0) return NOTHING;
      const variants = entry.record.variants.map((variant) =>
        hit.includes(variant) ? { ...variant, softPurgedAt: at } : variant,
      );
      const record = { ...entry.record, variants };
      this.#index.replace(ledger, hash, entry, { id: entry.id, record });
      return { objects: hit.length, bytes: hit.reduce((sum, variant) => sum + variant.at.size, 0) };
    });
  }

  together<T>(work: () => T): T {
    if (this.#index.isChanging) return work();
    try {
      return this.#write(work);
    } catch {
      // Each for itself, so that what cannot be written is owed.
      return work();
    }
  }

  async sweep(isPurged: (object: StoredObject<StoredBody>) => boolean): Promise<void> {
    let last = -1;
    for (;;) {
      this.#refresh();
      const ids = this.#index.after(last, SWEEP_BATCH);
      if (ids.length === 0) return;
      last = ids.at(-1) ?? last;
      const keys = new Set<string>();
      for (const id of ids) {
        const entry = this.#index.at(id);
        if (entry !== undefined && this.#objects(entry.record).some(isPurged)) {
          keys.add(entry.record.key);
        }
      }
      if (keys.size > 0) {
        this.together(() => {
          for (const key of keys) {
            this.#drop(
              key,
              'purged',
              (variant, record) => !isPurged(this.#object(record, variant)),
            );
          }
        });
      }
      await nextTurn();
    }
  }

  volume(site?: string): Volume {
    this.#refresh();
    return this.#index.volume(site);
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
          damaged: total('damaged'),
        },
        evictedBytes: total('evictedBytes'),
      },
    ];
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

  #find(hash: string): Entry | undefined {
    if (this.#shared.owing > 0) return undefined;
    try {
      this.#refresh();
      return this.#index.find(hash);
    } catch (error) {
      // Where the index cannot be read, nothing is stored.
      this.#keeper.failed(indexFailure(error));
      return undefined;
    }
  }

  #objects(record: KeyRecord): StoredObject<StoredBody>[] {
    return record.variants.map((variant) => this.#object(record, variant));
  }

  #object(record: KeyRecord, variant: Variant): StoredObject<StoredBody> {
    const { at: _at, ...head } = variant;
    const { key, site } = record;
    // JSON leaves out what is undefined.
    const { softPurgedAt } = variant;
    return { ...head, softPurgedAt, key, site, body: this.#body(record, variant) };
  }

  #body(record: KeyRecord, variant: Variant): StoredBody {
    const { size, file } = variant.at;
    if (file === undefined) {
      const body = record.bodies[record.variants.indexOf(variant)];
      return body === undefined || size === 0 ? Body.empty : new Body([body]);
    }
    return new FileBody(file, size, this.#files, {
      damaged: () => void this.#drop(record.key, 'damaged', ({ at }) => at.file !== file),
      failed: (code) => code !== undefined && this.#keeper.failed(code),
    });
  }

  #drop(
    key: string,
    reason: EvictionReason,
    kept: (variant: Variant, record: KeyRecord) => boolean,
  ): Volume {
    const dropped = this.#change(key, (hash, entry, ledger) =>
      dropVariants(this.#index, ledger, hash, entry, (variant) => kept(variant, entry.record)),
    );
    this.#shared.count(this.#place.slot, reason, dropped.objects);
    this.#shared.count(this.#place.slot, 'evictedBytes', dropped.bytes);
    return dropped;
  }

  /** Changes what is stored under a key, if anything is. */
  #change(key: string, change: (hash: string, entry: Entry, ledger: Ledger) => Volume): Volume {
    const hash = keyHash(key);
    // Most of what is dropped is not here, which is found out without a write: unless a commit
    // that has not seen the fence is about to show.
    if (!this.#shared.isCommitting && !this.#has(hash)) return NOTHING;
    let volume = NOTHING;
    this.#insist((ledger) => {
      const entry = this.#index.find(hash);
      if (entry?.record.key === key) volume = change(hash, entry, ledger);
    });
    return volume;
  }

  #has(hash: string): boolean {
    try {
      this.#refresh();
      return this.#index.has(hash);
    } catch {
      return true;
    }
  }

  /** Makes a change that has to be heeded, whether or not it can be written down now. */
  #insist(change: (ledger: Ledger) => unknown): void {
    if (this.#index.isChanging) {
      this.#index.transact(change);
      return;
    }
    try {
      this.#write(change);
    } catch (error) {
      if (this.#owed.push(change) === 1) this.#shared.owe(1);
      this.#keeper.failed(indexFailure(error));
    }
  }

  #write<T>(change: (ledger: Ledger) => T): T {
    const { result, freed } = this.#index.transact(change);
    this.#shared.changed();
    for (const file of freed) void this.#files.remove(file);
    return result;
  }

  #payOwed(): void {
    if (this.#owed.length === 0) return;
    try {
      this.#write((ledger) => {
        for (const change of this.#owed) change(ledger);
      });
      this.#owed = [];
      this.#shared.owe(-1);
    } catch (error) {
      this.#keeper.failed(indexFailure(error));
    }
  }

  #isRefusing(): boolean {
    return this.#shared.isRefusing || this.#shared.owing > 0;
  }

  #refused(): false {
    this.#shared.count(this.#place.slot, 'refused');
    return false;
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
