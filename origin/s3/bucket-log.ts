import { createReadStream, createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { backup } from 'node:sqlite';
import { pipeline } from 'node:stream/promises';
import type { Logger } from 'pino';
import { z } from 'zod';
import { validate } from '#core/contract/validate.ts';
import { CanopyError, messageOf } from '#core/errors.ts';
import { type ChangeLog, type LogRecord, Unsettled } from '../commits.ts';
import { indexChangeSchema } from '../index-change.ts';
import type { ObjectIndex } from '../object-index.ts';
import type { Bucket } from './bucket.ts';

const LOG = 'log/';
const SNAPSHOTS = 'index/';

/** Records after which the index is copied to the bucket, and older records are removed. */
const SNAPSHOT_RECORDS = 1000;

/** Records fetched at once. */
const FETCHES = 8;

const recordSchema = z.strictObject({
  sequence: z.int().min(1),
  changes: z.array(indexChangeSchema),
});

/**
 * The changes of an index in a bucket, one key each, and now and then the index itself, so that
 * what came before need not be kept.
 */
export class BucketLog implements ChangeLog {
  readonly #bucket: Bucket;
  readonly #log: Logger;
  /** Throws if the bucket is no longer ours. */
  readonly #own: () => Promise<void>;
  readonly #snapshotRecords: number;
  #sinceSnapshot = 0;
  #storing: Promise<void> | undefined;

  constructor(
    bucket: Bucket,
    {
      log,
      own,
      snapshotRecords = SNAPSHOT_RECORDS,
    }: {
      readonly log: Logger;
      readonly own: () => Promise<void>;
      readonly snapshotRecords?: number | undefined;
    },
  ) {
    this.#bucket = bucket;
    this.#log = log;
    this.#own = own;
    this.#snapshotRecords = snapshotRecords;
  }

  async append(record: LogRecord): Promise<void> {
    await this.#own();
    try {
      await this.#bucket.put(keyOf(LOG, record.sequence), JSON.stringify(record));
    } catch (error) {
      if (!(error instanceof CanopyError) || error.code !== 'storage-unavailable') throw error;
      throw new Unsettled(error.code, error.message);
    }
    this.#sinceSnapshot++;
  }

  /** Fetches the latest copy of the index, if there is one. */
  async fetchSnapshot(file: string): Promise<void> {
    const key = (await this.#keys(SNAPSHOTS)).at(-1);
    const found = key && (await this.#bucket.read(key));
    if (found === undefined || found === '') return;
    await pipeline(found.body, createWriteStream(`${file}.new`, { flush: true }));
    await rename(`${file}.new`, file);
  }

  /**
   * The records behind `sequence`, in their order.
   * @throws CanopyError `conflict` if they do not follow upon it
   */
  async *recordsAfter(sequence: number): AsyncGenerator<LogRecord, void, undefined> {
    const keys = await this.#keys(LOG);
    const last = (await this.#keys(SNAPSHOTS)).at(-1) ?? keyOf(SNAPSHOTS, 0);
    const end = Math.max(numberOf(last), numberOf(keys.at(-1) ?? last));
    if (end < sequence) {
      throw new CanopyError(
        'conflict',
        `${this.#bucket.name} ends with change ${end}, the index here with ${sequence}: it was put back to an earlier state`,
      );
    }
    const behind = keys.filter((key) => numberOf(key) > sequence);
    this.#sinceSnapshot = keys.length;
    for (let i = 0; i < behind.length; i += FETCHES) {
      const some = behind.slice(i, i + FETCHES);
      for (const record of await Promise.all(some.map((key) => this.#record(key)))) {
        sequence++;
        if (record.sequence !== sequence) {
          throw new CanopyError('conflict', `${this.#bucket.name} lacks change ${sequence}`);
        }
        yield record;
      }
    }
  }

  async checkpoint(index: ObjectIndex): Promise<void> {
    if (this.#sinceSnapshot < this.#snapshotRecords || this.#storing !== undefined) return;
    this.#sinceSnapshot = 0;
    const file = `${index.file}.copy`;
    try {
      await rm(file, { force: true });
      await backup(index.database, file);
    } catch (error) {
      this.#log.warn(`Cannot copy the index: ${messageOf(error)}`);
      return;
    }
    this.#storing = this.#store(file, index.sequence).finally(() => {
      this.#storing = undefined;
    });
  }

  /** Resolves once nothing is under way. */
  async idle(): Promise<void> {
    await this.#storing;
  }

  /** Stores a copy of the index, and removes what came before it. */
  async #store(file: string, sequence: number): Promise<void> {
    try {
      await this.#bucket.upload(keyOf(SNAPSHOTS, sequence), createReadStream(file));
      for (const start of [LOG, SNAPSHOTS]) {
        const isLast = (key: string): boolean => key === keyOf(SNAPSHOTS, sequence);
        for (const key of await this.#keys(start)) {
          if (numberOf(key) <= sequence && !isLast(key)) await this.#bucket.remove(key);
        }
      }
    } catch (error) {
      this.#log.warn(`Cannot store a copy of the index: ${messageOf(error)}`);
    } finally {
      await rm(file, { force: true });
    }
  }

  async #record(key: string): Promise<LogRecord> {
    const text = await this.#bucket.get(key);
    return validate(recordSchema, JSON.parse(text ?? 'null'), `${this.#bucket.name}${key}`);
  }

  async #keys(start: string): Promise<string[]> {
    const keys: string[] = [];
    for await (const key of this.#bucket.keys(start)) keys.push(key);
    return keys;
  }
}

/** Keys in the order of their numbers. */
const keyOf = (start: string, sequence: number): string =>
  start + String(sequence).padStart(16, '0');

const numberOf = (key: string): number => Number(key.split('/')[1]);
