import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { validate } from '#core/contract/validate.ts';
import { makeRecord } from '../commits.ts';
import { IndexedStore, type IndexedStoreOptions } from '../indexed-store.ts';
import { ObjectIndex } from '../object-index.ts';
import { BodyBucket } from './body-bucket.ts';
import { Bucket, type BucketOptions } from './bucket.ts';
import { BucketLog } from './bucket-log.ts';
import { Ownership } from './ownership.ts';

export interface S3StoreOptions extends Pick<
  IndexedStoreOptions,
  'clock' | 'log' | 'limitsOf' | 'onDamaged'
> {
  /** Of the node. */
  readonly name: string;
  /** Holds the index, which is made anew from the bucket where it is missing. */
  readonly dir: string;
  readonly s3: BucketOptions;
  /** Changes after which the index is copied to the bucket. Default: 1000. */
  readonly snapshotRecords?: number | undefined;
}

const STORE = 'store.json';
const storeSchema = z.strictObject({ version: z.literal(1), id: z.string() });

/**
 * Opens a store in a bucket: bodies, and the changes of the index, from which the index here is
 * brought up to date or made anew.
 * @throws CanopyError `conflict` if another origin has it, `storage-refused`, `storage-unavailable`
 */
export async function openS3Store(options: S3StoreOptions): Promise<IndexedStore> {
  const { dir, name, s3, clock, log, snapshotRecords } = options;
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const bucket = new Bucket(s3);
  let ownership: Ownership | undefined;
  let index: ObjectIndex | undefined;
  const leave = async (): Promise<void> => {
    await ownership?.end();
    bucket.close();
  };
  try {
    const owned = await Ownership.take(bucket, { name, clock, log });
    ownership = owned;
    const own = () => owned.prove();
    const changeLog = new BucketLog(bucket, { log, own, snapshotRecords });
    const id = await storeId(bucket);
    const file = join(dir, `objects-${id}.sqlite`);
    if (!existsSync(file)) await changeLog.fetchSnapshot(file);
    index = new ObjectIndex(file, clock.now(), id);
    for await (const record of changeLog.recordsAfter(index.sequence)) makeRecord(index, record);
    const onClose = async (): Promise<void> => {
      await changeLog.idle();
      await leave();
    };
    return new IndexedStore({
      ...options,
      index,
      bodies: new BodyBucket(bucket),
      changeLog,
      onClose,
    });
  } catch (error) {
    index?.close();
    await leave();
    throw error;
  }
}

/** Made with the first origin that has the prefix. */
async function storeId(bucket: Bucket): Promise<string> {
  const text = await bucket.get(STORE);
  if (text !== undefined) return validate(storeSchema, JSON.parse(text), bucket.name + STORE).id;
  const id = randomUUID();
  await bucket.put(
    STORE,
    JSON.stringify({ version: 1, id } satisfies z.output<typeof storeSchema>),
  );
  return id;
}
