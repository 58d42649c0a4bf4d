import { join } from 'node:path';
import { type Database, open, type RootDatabase } from 'lmdb';
import type { Volume } from '#core/cache/store.ts';
import { costOf, Ledger, NO_TOTALS, type Queue, QUEUES, type Totals } from './ledger.ts';
import { decodeRecord, encodeRecord, expiryOf, type KeyRecord } from './record.ts';

/** A record where it stands: the higher the number, the later it was put into its queue. */
export interface Entry {
  readonly id: number;
  readonly record: KeyRecord;
  /** Bytes of the record as encoded. */
  readonly bytes: number;
}

/** Records that one queue may ever see. */
const QUEUE_IDS = 2 ** 48;
/** Committed for all threads when it returns, and flushed to disk with others' commits. */
const COMMIT_FLAGS = 0x10000 + 2 + 1;
const NOTHING: Volume = { objects: 0, bytes: 0 };

export const queueOf = (id: number): Queue => QUEUES[Math.floor(id / QUEUE_IDS)] ?? 'small';
const startOf = (queue: Queue): number => QUEUES.indexOf(queue) * QUEUE_IDS;

/**
 * The index of a disk store, in LMDB: one record for each key, in the order of its queue, found by
 * the hash of the key. Every thread opens it for itself to read; the keeper alone changes it. A kill
 * loses nothing that was committed, a power failure the last moments.
 */
export class IndexDb {
  readonly #env: RootDatabase<Buffer, string>;
  /** A record's number by the hash of its key. */
  readonly #ids: Database<number, string>;
  readonly #records: Database<Buffer, number>;
  /** The hash of the key by the number of its file. */
  readonly #files: Database<string, number>;
  readonly #sites: Database<Volume, string>;
  readonly #meta: Database<unknown, string>;

  /**
   * @param dir made where it is missing
   * @param mapBytes that the index may ever grow to; addresses, not memory
   * @throws what LMDB says of an index that it cannot read
   */
  constructor(dir: string, mapBytes: number) {
    this.#env = open<Buffer, string>({
      path: join(dir, 'index'),
      mapSize: Math.ceil(mapBytes / 65_536) * 65_536,
      maxDbs: 8,
      encoding: 'binary',
      cache: false,
      overlappingSync: true,
    });
    this.#ids = this.#env.openDB('ids', { encoding: 'ordered-binary' });
    this.#records = this.#env.openDB('records', { encoding: 'binary' });
    this.#files = this.#env.openDB('files', { encoding: 'string' });
    this.#sites = this.#env.openDB('sites', { encoding: 'json' });
    this.#meta = this.#env.openDB('meta', { encoding: 'json' });
  }

  /** Sees from now on what other threads have committed before. */
  refresh(): void {
    this.#env.resetReadTxn();
  }

  find(hash: string): Entry | undefined {
    const id = this.#ids.get(hash);
    return id === undefined ? undefined : this.at(id);
  }

  /** @returns `undefined` also where the record is damaged */
  at(id: number): Entry | undefined {
    const bytes = this.#records.getBinary(id);
    const record = bytes === undefined ? undefined : decodeRecord(bytes);
    if (bytes === undefined || record === undefined) return undefined;
    return { id, record, bytes: bytes.length };
  }

  has(hash: string): boolean {
    return this.#ids.get(hash) !== undefined;
  }

  /** When the record may be dropped as expired; `undefined`: there is none. */
  expiryAt(id: number): number | undefined {
    const bytes = this.#records.getBinaryFast(id);
    return bytes === undefined ? undefined : expiryOf(bytes);
  }

  /** The first numbers of a queue. */
  first(queue: Queue, limit: number): number[] {
    return this.#numbers(startOf(queue), startOf(queue) + QUEUE_IDS, limit);
  }

  /** The numbers of all queues that follow `id`, or the first. */
  after(id: number, limit: number): number[] {
    return this.#numbers(id + 1, undefined, limit);
  }

  #numbers(start: number, end: number | undefined, limit: number): number[] {
    return [...this.#records.getKeys({ start, limit, ...(end !== undefined && { end }) })];
  }

  /** A number behind all in the queue. */
  last(queue: Queue): number {
    const [last] = this.#records.getKeys({
      start: startOf(queue) + QUEUE_IDS - 1,
      end: startOf(queue),
      inclusiveEnd: true,
      reverse: true,
      limit: 1,
    });
    return (last ?? startOf(queue)) + 1;
  }

  hashOfFile(file: number): string | undefined {
    return this.#files.get(file);
  }

  filesBetween(from: number, to: number): Set<number> {
    return new Set(this.#files.getKeys({ start: from, end: to }));
  }

  get totals(): Totals {
    return (this.get('totals') as Totals | undefined) ?? NO_TOTALS;
  }

  volume(site?: string): Volume {
    if (site !== undefined) return this.#sites.get(site) ?? NOTHING;
    const { objects, fileBytes, recordBytes } = this.totals;
    return { objects, bytes: fileBytes + recordBytes };
  }

  /** Bytes of the index's own file that have ever been in use. */
  get indexBytes(): number {
    const { lastPageNumber, pageSize } = this.#env.getStats() as Record<string, number>;
    return ((lastPageNumber ?? 0) + 1) * (pageSize ?? 0);
  }

  get(name: string): unknown {
    return this.#meta.get(name);
  }
  set(name: string, value: unknown): void {
    this.#meta.putSync(name, value);
  }
  remove(name: string): void {
    this.#meta.removeSync(name);
  }
  named(prefix: string): { readonly key: string; readonly value: unknown }[] {
    return [...this.#meta.getRange({ start: prefix, end: `${prefix}\uffff` })];
  }

  /**
   * Makes all the changes of `work` at once, or none where it throws. For the keeper alone: a thread
   * that ended within it would hold up all others for ever.
   * @returns what `work` does, and the numbers of files that nothing refers to any more
   * @throws what LMDB says where it cannot write
   */
  transact<T>(work: (ledger: Ledger) => T): { result: T; freed: readonly number[] } {
    return this.#env.transactionSync(() => {
      const ledger = new Ledger(this.totals);
      const result = work(ledger);
      this.#settle(ledger);
      return { result, freed: ledger.freed };
    }, COMMIT_FLAGS);
  }

  /** Puts a record in the place of another of the same key; within `transact` only. */
  replace(
    ledger: Ledger,
    hash: string,
    before: Entry | undefined,
    after: { readonly id: number; readonly record: KeyRecord } | undefined,
  ): void {
    const encoded = after === undefined ? undefined : encodeRecord(after.record);
    const files = new Set<number>();
    if (after !== undefined && encoded !== undefined) {
      const cost = costOf(after.record, encoded.length);
      ledger.enter(1, after.record.site, queueOf(after.id), cost);
      for (const file of cost.files) files.add(file);
      this.#records.putSync(after.id, encoded);
    }
    if (before !== undefined) {
      const cost = costOf(before.record, before.bytes);
      ledger.enter(-1, before.record.site, queueOf(before.id), cost);
      for (const file of cost.files) {
        if (files.delete(file)) continue;
        ledger.freed.push(file);
        this.#files.removeSync(file);
      }
      if (before.id !== after?.id) this.#records.removeSync(before.id);
    }
    for (const file of files) this.#files.putSync(file, hash);
    if (after === undefined) this.#ids.removeSync(hash);
    else if (before?.id !== after.id) this.#ids.putSync(hash, after.id);
  }

  /** Removes a record that cannot be read, so that what it was and cost is not known. */
  discard(id: number): void {
    this.#records.removeSync(id);
  }

  /** Writes down what `work` has added up. */
  #settle(ledger: Ledger): void {
    if (ledger.sites.size === 0) return;
    this.set('totals', ledger.totals);
    for (const [site, change] of ledger.sites) {
      const before = this.#sites.get(site) ?? NOTHING;
      const objects = before.objects + change.objects;
      if (objects === 0) this.#sites.removeSync(site);
      else this.#sites.putSync(site, { objects, bytes: before.bytes + change.bytes });
    }
  }

  /** Reads every entry there is. @throws what LMDB says where it cannot */
  walk(): void {
    for (const db of [this.#ids, this.#records, this.#files, this.#sites, this.#meta]) {
      let entries = 0;
      for (const _entry of db.getRange()) entries++;
      if (entries !== db.getCount())
        throw new Error('The index has entries that cannot be reached');
    }
  }

  /** Ids of processes that have the index open, as far as they have read from it. */
  get readers(): number[] {
    this.#env.readerCheck();
    const lines = this.#env.readerList().split('\n');
    return lines.map((line) => Number.parseInt(line, 10)).filter((pid) => pid > 0);
  }

  close(): Promise<void> {
    return this.#env.close();
  }
}
