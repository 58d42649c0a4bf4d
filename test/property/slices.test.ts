import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Lookup } from '#core/cache/engine.ts';
import { Body } from '#core/cache/body.ts';
import { Fence } from '#core/cache/fence.ts';
import { MemoryStore } from '#core/cache/memory.ts';
import type { Manifest } from '#core/cache/object.ts';
import { SliceReader } from '#core/cache/slices/reader.ts';
import { Slices } from '#core/cache/slices/slices.ts';
import { servedSite } from '#core/cache/served-site.ts';
import { systemClock } from '#core/clock.ts';
import { siteSchema } from '#core/contract/site.ts';
import { fieldValue } from '#core/http/fields.ts';
import type { ByteRange } from '#core/http/ranges.ts';
import { readRequest } from '#core/http/request.ts';
import type { UpstreamResponse } from '#core/tree/attempt.ts';
import type { Tree, UpstreamRequest } from '#core/tree/tree.ts';
import { RECEIVED_AT, response } from '#test/policy/facts.ts';

interface Parent {
  readonly whole: Buffer;
  readonly ranges: boolean;
  /** Bytes of the pieces in which it sends. */
  readonly pieceBytes: number;
}

/** A tree whose one parent answers out of a buffer. */
function treeOf({ whole, ranges, pieceBytes }: Parent, asked: string[]): Tree {
  const answer = ({ fields }: UpstreamRequest): UpstreamResponse => {
    const range = fields[fields.indexOf('Range') + 1] ?? '';
    asked.push(range);
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(range) ?? [];
    const start = ranges ? Number(first) : 0;
    const content = ranges ? whole.subarray(start, Number(last) + 1) : whole;
    async function* body(): AsyncGenerator<Buffer, void, undefined> {
      for (let at = 0; at < content.length; at += pieceBytes) {
        await Promise.resolve();
        yield content.subarray(at, at + pieceBytes);
      }
    }
    const end = start + content.length - 1;
    return {
      parent: { name: 'parent', tier: 'customer', url: 'http://parent' },
      status: ranges ? 206 : 200,
      fields: [
        'ETag',
        '"1"',
        'Content-Length',
        String(content.length),
        ...(ranges ? ['Content-Range', `bytes ${start}-${end}/${whole.length}`] : []),
      ],
      body: body(),
      discard: () => undefined,
      requestedAt: RECEIVED_AT,
      receivedAt: RECEIVED_AT,
    };
  };
  return {
    fetch: (request: UpstreamRequest) => Promise.resolve(answer(request)),
  } as unknown as Tree;
}

const sourcesOf = (tree: Tree) => ({
  clock: systemClock,
  source: {
    fetch: (_: Lookup, request: UpstreamRequest) => tree.fetch(request),
    isHome: () => true,
    threads: 1,
  },
  tree,
  fence: new Fence(),
});

const lookup: Lookup = {
  site: servedSite(siteSchema.parse({ name: 'site', hosts: ['*'], origin: { kind: 'push' } })),
  key: 'site /film',
  keySelector: '',
  keyedBy: '',
  request: readRequest({ method: 'GET', target: '/film', fields: ['Host', 'a'], encrypted: false }),
  upstreamFields: () => [],
  client: { inform: () => undefined },
  fromTier: false,
  askingFence: 0,
  changed: false,
};

function manifestOf(size: number, sliceBytes: number): Manifest {
  return {
    key: lookup.key,
    site: 'site',
    selector: '',
    fields: ['ETag', '"1"'],
    facts: response({ ETag: '"1"' }),
    body: Body.empty,
    initialAgeMs: 0,
    receivedAt: RECEIVED_AT,
    asOf: 0,
    softPurgedAt: undefined,
    sliced: { size, sliceBytes, generation: 'g' },
  };
}

async function all(content: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of content) parts.push(part);
  return Buffer.concat(parts);
}

const objects = fc.record({
  size: fc.integer({ min: 1, max: 2000 }),
  /** Not so small that an origin without ranges is read through a thousand times. */
  sliceBytes: fc.integer({ min: 20, max: 700 }),
  pieceBytes: fc.integer({ min: 1, max: 900 }),
  ranges: fc.boolean(),
  isStored: fc.boolean(),
  /** Small enough, at times, to hold but a few slices, or none. */
  memoryBytes: fc.integer({ min: 3000, max: 200_000 }),
  picks: fc.array(fc.tuple(fc.nat(), fc.nat()), { minLength: 1, maxLength: 6 }),
});

test('any ranges read at the same time are those of the object', async () => {
  await fc.assert(
    fc.asyncProperty(objects, async (given) => {
      const whole = Buffer.from(
        Array.from({ length: given.size }, (_, i) => (i * 7 + (i >> 8)) % 256),
      );
      const store = new MemoryStore(given.memoryBytes);
      const slices = new Slices({
        ...sourcesOf(treeOf({ whole, ...given }, [])),
        store,
      });
      const manifest = manifestOf(given.size, given.sliceBytes);
      if (given.isStored) store.put(manifest);
      const { signal } = new AbortController();
      const reads = given.picks.map(async ([a, b]) => {
        const ends = [a % given.size, b % given.size];
        const range: ByteRange = { start: Math.min(...ends), end: Math.max(...ends) };
        const bytes = await all(new SliceReader(slices, manifest, lookup, range, signal));
        expect(bytes.equals(whole.subarray(range.start, range.end + 1))).toBe(true);
      });
      await Promise.all(reads);
    }),
    { numRuns: 300 },
  );
});

test('while there is room each slice is asked for once', async () => {
  const property = fc.asyncProperty(objects, async (given) => {
    const whole = Buffer.alloc(given.size, 'x');
    const store = new MemoryStore(50_000_000);
    const asked: string[] = [];
    const tree = treeOf({ whole, ranges: true, pieceBytes: given.pieceBytes }, asked);
    const slices = new Slices({ ...sourcesOf(tree), store });
    const manifest = manifestOf(given.size, given.sliceBytes);
    store.put(manifest);
    const { signal } = new AbortController();
    const range = { start: 0, end: given.size - 1 };
    await Promise.all(
      given.picks.map(() => all(new SliceReader(slices, manifest, lookup, range, signal))),
    );
    expect(asked.length).toBe(Math.ceil(given.size / given.sliceBytes));
    expect(new Set(asked).size).toBe(asked.length);
  });
  await fc.assert(property, { numRuns: 100 });
});

test('nothing is fetched for a client that has left', async () => {
  const asked: string[] = [];
  const whole = Buffer.alloc(1000);
  const tree = treeOf({ whole, ranges: true, pieceBytes: 50 }, asked);
  const store = new MemoryStore(1_000_000);
  const slices = new Slices({ ...sourcesOf(tree), store });
  const manifest = manifestOf(1000, 100);
  store.put(manifest);
  const leaving = new AbortController();
  const reader = new SliceReader(slices, manifest, lookup, { start: 0, end: 999 }, leaving.signal);
  await reader.next();
  leaving.abort();
  expect((await reader.next()).done).toBe(true);
  // The slice that was read, and the one read ahead.
  expect(asked).toEqual(['bytes=0-99', 'bytes=100-199']);
});

test('what was purged while it was read is not stored', async () => {
  const whole = Buffer.alloc(1000, 'x');
  const store = new MemoryStore(1_000_000);
  const tree = treeOf({ whole, ranges: true, pieceBytes: 50 }, []);
  const slices = new Slices({ ...sourcesOf(tree), store });
  const manifest = manifestOf(1000, 100);
  store.put(manifest);
  const { signal } = new AbortController();
  const reader = new SliceReader(slices, manifest, lookup, { start: 0, end: 999 }, signal);
  const first = (await reader.next()).value;
  store.delete(manifest.key);
  const before = store.volume().objects;
  expect(Buffer.concat([first ?? Buffer.alloc(0), await all(reader)])).toEqual(whole);
  expect(store.volume().objects).toBe(before);
});

test('a whole answer waits when it is ahead of all who read it', async () => {
  const store = new MemoryStore(1_000_000);
  const tree = treeOf({ whole: Buffer.alloc(0), ranges: true, pieceBytes: 1 }, []);
  const slices = new Slices({ ...sourcesOf(tree), store });
  const manifest = manifestOf(10_000, 100);
  store.put(manifest);
  let sentBytes = 0;
  async function* body(): AsyncGenerator<Buffer, void, undefined> {
    for (; sentBytes < 10_000; sentBytes += 100) {
      await Promise.resolve();
      yield Buffer.alloc(100, 'x');
    }
  }
  const answer = { body: body(), discard: () => undefined } as unknown as UpstreamResponse;
  slices.cut(manifest, answer, true, lookup);
  const { signal } = new AbortController();
  const reader = new SliceReader(slices, manifest, lookup, { start: 0, end: 9999 }, signal);
  await reader.next();
  for (let turn = 0; turn < 500; turn++) await new Promise((resolve) => setImmediate(resolve));
  expect(sentBytes).toBeLessThan(1000);
  let read = 100;
  for await (const piece of reader) read += piece.length;
  expect(read).toBe(10_000);
});

test('threads that fetch much from one another do not wait for one another', async () => {
  // So large that few are on their way at once, and each a view of the same bytes.
  const sliceBytes = 16 * 1024 * 1024;
  const count = 8;
  const whole = Buffer.alloc(count * sliceBytes);
  const tree = treeOf({ whole, ranges: true, pieceBytes: sliceBytes }, []);
  const { signal } = new AbortController();
  const keys = ['site /one', 'site /other'];
  const threads: Slices[] = keys.map((own, i) => {
    const fetch = async (asking: Lookup, request: UpstreamRequest): Promise<UpstreamResponse> => {
      if (asking.key === own) return tree.fetch(request);
      const answer = await tree.fetch(request);
      const [, start, end] = /(\d+)-(\d+)/.exec(fieldValue(request.fields, 'range') ?? '') ?? [];
      const range = { start: Number(start), end: Number(end) };
      const home = threads[1 - i];
      if (home === undefined) throw new Error('There are two threads');
      const body = new SliceReader(home, manifest(asking.key), asking, range, signal);
      return { ...answer, body };
    };
    const isHome = ({ key }: Lookup): boolean => key === own;
    const store = new MemoryStore(whole.length);
    for (const key of keys) store.put(manifest(key));
    return new Slices({ ...sourcesOf(tree), source: { fetch, isHome, threads: 2 }, store });
  });
  function manifest(key: string): Manifest {
    return { ...manifestOf(whole.length, sliceBytes), key };
  }
  const reads = threads.flatMap((slices, i) =>
    Array.from({ length: count }, (_, index) => {
      const key = keys[1 - i] ?? '';
      const start = index * sliceBytes;
      const range = { start, end: start + 9 };
      return all(new SliceReader(slices, manifest(key), { ...lookup, key }, range, signal));
    }),
  );
  for (const bytes of await Promise.all(reads)) expect(bytes.length).toBe(10);
});
