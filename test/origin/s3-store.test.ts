import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { ListMultipartUploadsCommand } from '@aws-sdk/client-s3';
import { pino } from 'pino';
import { expect, onTestFinished, test, vi } from 'vitest';
import { CanopyError } from '#core/errors.ts';
import type { IndexedStore } from '#origin/indexed-store.ts';
import { Replicas } from '#origin/replicas.ts';
import { Bucket } from '#origin/s3/bucket.ts';
import { openS3Store, type S3StoreOptions } from '#origin/s3/s3-store.ts';
import { BUCKET, SECRET_KEY, useS3Service } from '#test/s3.ts';
import {
  PUBLISH_KEY,
  quiet,
  startTestOrigin,
  temporaryDir,
  textOf,
  TIER_KEY,
  uploadOf,
  wallClock,
} from './support.ts';

const s3 = useS3Service();

/** For tests in which the service has to start anew. */
const RESTART_MS = 150_000;

/** A place in the bucket, and stores on it, each on a directory of its own. */
async function place() {
  const at = { bucket: BUCKET, prefix: `${randomUUID()}/`, endpoint: s3.service.endpoint };
  // Attempts are what the library is for; a test waits for none.
  const options = { ...at, pathStyle: true, attempts: 1 };
  const bucket = new Bucket(options);
  onTestFinished(() => bucket.close());
  const open = async (changes: Partial<S3StoreOptions> = {}): Promise<IndexedStore> => {
    const dir = changes.dir ?? (await temporaryDir());
    const store = await openS3Store({
      name: 'origin',
      s3: options,
      clock: wallClock(),
      log: quiet,
      ...changes,
      dir,
    });
    let isOpen = true;
    const close = store.close.bind(store);
    store.close = async () => {
      if (isOpen) await close();
      isOpen = false;
    };
    onTestFinished(() => store.close());
    return store;
  };
  const keys = async (start: string): Promise<string[]> => {
    const found: string[] = [];
    for await (const key of bucket.keys(start)) found.push(key);
    return found;
  };
  return { options, bucket, open, keys };
}

const served = async (store: IndexedStore, path: string) =>
  textOf(store, await store.find('shop', path));

test('a large object goes in parts, is read in ranges, and a cut one leaves no part behind', async () => {
  const { options, open, keys } = await place();
  const store = await open();
  const large = randomBytes(20 * 1024 * 1024);
  async function* inChunks(end: number): AsyncGenerator<Buffer, void, undefined> {
    for (let at = 0; at < end; at += 65_536) yield large.subarray(at, at + 65_536);
  }
  const content = inChunks(large.length);
  const { object } = await store.put('shop', '/large', { ...uploadOf(''), content });
  expect(object.digest).toBe(createHash('sha256').update(large).digest('hex'));
  const whole = await store.read(object);
  expect(whole && (await buffer(whole)).equals(large)).toBe(true);
  const range = { start: 8 * 1024 * 1024 - 5, end: 8 * 1024 * 1024 + 4 };
  const part = await store.read(object, range);
  expect(part && (await buffer(part)).equals(large.subarray(range.start, range.end + 1))).toBe(
    true,
  );

  async function* cut(): AsyncGenerator<Buffer, void, undefined> {
    yield* inChunks(10 * 1024 * 1024);
    throw new Error('the client is gone');
  }
  const upload = { ...uploadOf(''), content: cut() };
  await expect(store.put('shop', '/cut', upload)).rejects.toThrow('the client is gone');
  expect(await keys('bodies/')).toHaveLength(1);
  const client = s3.service.client();
  const { Uploads = [] } = await client.send(
    new ListMultipartUploadsCommand({ Bucket: BUCKET, Prefix: options.prefix }),
  );
  client.destroy();
  expect(Uploads).toEqual([]);
});

test.each<[problem: string, bucket: string, secret: string]>([
  ['another secret', BUCKET, 'wrong-secret-of-the-tests'],
  ['a bucket that is not there', 'no-bucket', SECRET_KEY],
])('%s is refused at the start, and no secret is told', async (_problem, bucket, secret) => {
  const { options, open } = await place();
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', secret);
  const lines: string[] = [];
  const log = pino({}, { write: (line) => void lines.push(line) });
  const error = await open({ s3: { ...options, bucket }, log }).catch((reason: unknown) => reason);
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', SECRET_KEY);
  expect(error).toMatchObject({ code: 'storage-refused', retrySafe: false });
  log.error({ err: error }, 'refused');
  expect(lines.join('')).toContain(`s3://${bucket}/`);
  expect(lines.join('')).not.toContain(secret);
  expect(lines.join('')).not.toMatch(/authorization|signature=/i);
});

test('the index is copied to the bucket now and then, and what it makes needless is removed', async () => {
  const { open, keys } = await place();
  const store = await open({ snapshotRecords: 4 });
  const { id } = store;
  for (let i = 0; i < 10; i++) await store.put('shop', `/${i % 3}`, uploadOf(`${i}`));
  await store.hold('shop', 'kept', []);
  const changes = await store.changes(0, 10);
  await store.close();
  expect(await keys('index/')).toHaveLength(1);
  expect((await keys('log/')).length).toBeLessThan(8);
  const again = await open({ snapshotRecords: 4 });
  expect(again.id).toBe(id);
  expect(await again.changes(0, 10)).toEqual(changes);
  expect(await served(again, '/0')).toBe('9');
});

test('an index that is there is brought up to date, one ahead of the bucket refused', async () => {
  const { bucket, open, keys } = await place();
  const dir = await temporaryDir();
  const first = await open({ dir });
  await first.put('shop', '/a', uploadOf('a'));
  await first.close();
  const elsewhere = await open();
  await elsewhere.put('shop', '/b', uploadOf('b'));
  await elsewhere.close();
  const back = await open({ dir });
  expect(await served(back, '/b')).toBe('b');
  await back.close();
  const [, last = ''] = await keys('log/');
  await bucket.remove(last);
  await expect(open({ dir })).rejects.toMatchObject({ code: 'conflict' });
});

test('one origin at a time has a prefix', async () => {
  const { open } = await place();
  const clock = { ...wallClock(), monotonic: 0, monotonicMs: () => clock.monotonic };
  const first = await open({ clock });
  await expect(open({ name: 'other' })).rejects.toThrow(/belongs to origin origin/);
  // The same node elsewhere: the process that it was before is gone, or is to be.
  const second = await open();
  await second.put('shop', '/a', uploadOf('second'));
  clock.monotonic = 60_000;
  await expect(first.put('shop', '/a', uploadOf('first'))).rejects.toMatchObject({
    code: 'conflict',
  });
  expect(await served(second, '/a')).toBe('second');
  await first.close();
  await second.close();
  await open({ name: 'other' });
});

test('two origins with a prefix each are replicas in one bucket', async () => {
  const from = await startTestOrigin(async () => (await place()).open());
  const to = await startTestOrigin(async () => (await place()).open());
  await from.api('PUT', '/a', 'a');
  await from.api('PUT', '/gone', 'gone');
  await from.api('DELETE', '/gone');
  const replicas = new Replicas({ name: 'to', store: to.store, clock: to.clock, log: quiet });
  onTestFinished(() => replicas.close());
  const location = { name: 'oslo', latitude: 0, longitude: 0 };
  const node = { tier: 'origin', location, capacity: 1, draining: false } as const;
  replicas.configure({
    network: { tierKey: TIER_KEY, publishKey: PUBLISH_KEY },
    nodes: [{ ...node, name: 'from', url: from.url }],
  });
  await replicas.inStep();
  expect((await to.get('/a')).text).toBe('a');
  expect((await to.get('/a', { Range: 'bytes=0-0' })).status).toBe(206);
  expect((await to.get('/gone')).status).toBe(404);
});

test('an upload to a slow service is not read ahead of it', { timeout: RESTART_MS }, async () => {
  const { open } = await place();
  const store = await open();
  let yielded = 0;
  async function* endless(): AsyncGenerator<Buffer, void, undefined> {
    const chunk = Buffer.alloc(1024 * 1024);
    for (;;) {
      yielded += chunk.length;
      yield chunk;
    }
  }
  s3.service.pause();
  const putting = store.put('shop', '/endless', { ...uploadOf(''), content: endless() });
  putting.catch(() => undefined);
  let before = -1;
  await vi.waitUntil(
    () => {
      const stands = yielded === before;
      before = yielded;
      return stands;
    },
    { interval: 200, timeout: 20_000 },
  );
  // Two parts on their way, one being filled, and what streams hold.
  expect(yielded).toBeLessThan(32 * 1024 * 1024);
  await s3.service.kill();
  await expect(putting).rejects.toMatchObject({ code: 'storage-unavailable', retrySafe: true });
  await s3.service.run();
});

test(
  'while the service is gone nothing is taken, and later all is well',
  { timeout: RESTART_MS },
  async () => {
    const { open } = await place();
    const store = await open();
    await store.put('shop', '/a', uploadOf('first'));
    await s3.service.kill();
    const refused = store.put('shop', '/a', uploadOf('second'));
    await expect(refused).rejects.toMatchObject({ code: 'storage-unavailable', status: 503 });
    await expect(store.delete('shop', '/a', () => undefined)).rejects.toBeInstanceOf(CanopyError);
    const object = await store.find('shop', '/a');
    expect(object?.size).toBe(5);
    await expect(textOf(store, object)).rejects.toMatchObject({ code: 'storage-unavailable' });

    await s3.service.run();
    // The deletion was logged or not, nobody knew; asked again it is settled before anything else.
    await store.put('shop', '/a', uploadOf('third'));
    expect(await served(store, '/a')).toBe('third');
    await store.close();
    const again = await open();
    expect(await served(again, '/a')).toBe('third');
    expect(again.totals).toEqual({ objects: 1, bytes: 5 });
  },
);
