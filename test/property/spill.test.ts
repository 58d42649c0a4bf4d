import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { FillingBody } from '#core/cache/filling-body.ts';
import { SpillRoom } from '#core/cache/spill-room.ts';

let dir: string;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'canopy-spill-'));
});

afterAll(() => rm(dir, { recursive: true, force: true }));

/** One reader that takes a piece when it is told to; at the end it takes all that is left. */
class SteppedReader {
  readonly #reader: AsyncIterator<Buffer>;
  readonly parts: Buffer[] = [];
  error: unknown;
  #pending: Promise<void> | undefined;
  #ended = false;

  constructor(body: FillingBody) {
    this.#reader = body.read();
  }

  get bytes(): Buffer {
    return Buffer.concat(this.parts);
  }

  /** Takes one piece, if none is awaited already. */
  step(): void {
    if (this.#ended) return;
    this.#pending ??= this.#take().finally(() => {
      this.#pending = undefined;
    });
  }

  async drain(): Promise<void> {
    while (!this.#ended) {
      this.step();
      await this.#pending;
    }
  }

  leave(): void {
    this.#ended = true;
    void this.#reader.return?.();
  }

  async #take(): Promise<void> {
    try {
      const { done, value } = await this.#reader.next();
      if (done === true) this.#ended = true;
      else this.parts.push(value);
    } catch (error) {
      this.error = error;
      this.#ended = true;
    }
  }
}

/** Feeds a body as the filler does: the next piece only when there is room. */
async function feed(body: FillingBody, parts: readonly Buffer[], turn: () => Promise<void>) {
  for (const part of parts) {
    await turn();
    body.append(part);
    await body.room();
  }
  body.complete();
}

interface Play {
  readonly parts: readonly Uint8Array[];
  readonly readers: number;
  readonly windowBytes: number;
  readonly segmentBytes: number;
  readonly budgetBytes: number;
  /** Who moves: a reader by number; -1 the parent. */
  readonly moves: readonly number[];
}

const plays = (budgetBytes: fc.Arbitrary<number>): fc.Arbitrary<Play> =>
  fc.record({
    parts: fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), {
      minLength: 10,
      maxLength: 60,
    }),
    readers: fc.integer({ min: 2, max: 4 }),
    windowBytes: fc.integer({ min: 1, max: 60 }),
    segmentBytes: fc.integer({ min: 1, max: 60 }),
    budgetBytes,
    // The first reader and the parent move more often than the others.
    moves: fc.array(fc.constantFrom(-1, -1, -1, 0, 0, 0, 1, 2, 3), {
      minLength: 50,
      maxLength: 200,
    }),
  });

async function play(
  given: Play,
): Promise<{ readers: SteppedReader[]; room: SpillRoom; spilled: boolean }> {
  const room = new SpillRoom(dir, given.budgetBytes, given.segmentBytes);
  const body = new FillingBody(false, () => undefined, room, given.windowBytes);
  const readers = Array.from({ length: given.readers }, () => new SteppedReader(body));
  let turns = 0;
  let spilled = false;
  let wanted: (() => void) | undefined;
  const turn = (): Promise<void> =>
    new Promise((resolve) => {
      wanted = resolve;
      if (turns > 0) advance();
    });
  const advance = (): void => {
    const resolve = wanted;
    if (resolve === undefined) {
      turns++;
      return;
    }
    wanted = undefined;
    turns = Math.max(0, turns - 1);
    resolve();
  };
  const parts = given.parts.map((part) => Buffer.from(part));
  const fed = feed(body, parts, turn);
  for (const move of given.moves) {
    if (move === -1) advance();
    else readers[move]?.step();
    await new Promise((resolve) => void setImmediate(resolve));
    expect(room.usedBytes).toBeLessThanOrEqual(given.budgetBytes);
    spilled ||= room.usedBytes > 0;
  }
  turns = Infinity;
  advance();
  await Promise.all([fed, ...readers.map((reader) => reader.drain())]);
  return { readers, room, spilled };
}

test('whoever reads at whatever speed gets every byte', { timeout: 60_000 }, async () => {
  let spills = 0;
  await fc.assert(
    fc.asyncProperty(plays(fc.constant(1_000_000)), async (given) => {
      const { readers, room, spilled } = await play(given);
      if (spilled) spills++;
      for (const reader of readers) {
        expect(reader.error).toBeUndefined();
        expect(reader.bytes.equals(Buffer.concat(given.parts))).toBe(true);
      }
      expect(room.usedBytes).toBe(0);
    }),
    { numRuns: 150 },
  );
  expect(spills).toBeGreaterThan(50);
});

test('with little room, a reader gets every byte or is cut', { timeout: 60_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(plays(fc.integer({ min: 0, max: 200 })), async (given) => {
      const { readers, room } = await play(given);
      const whole = Buffer.concat(given.parts);
      for (const { bytes, error } of readers) {
        expect(whole.subarray(0, bytes.length).equals(bytes)).toBe(true);
        expect(error !== undefined || bytes.length === whole.length).toBe(true);
      }
      // Somebody is always left, for only those who hold another up are cut.
      expect(readers.some(({ error }) => error === undefined)).toBe(true);
      expect(room.usedBytes).toBe(0);
    }),
    { numRuns: 150 },
  );
});

const MIB = 1024 * 1024;

test('one who does not read does not hold up another', async () => {
  const room = new SpillRoom(dir, 100 * MIB);
  const body = new FillingBody(false, () => undefined, room);
  const [fast, slow] = [new SteppedReader(body), new SteppedReader(body)];
  const parts = Array.from({ length: 200 }, (_, i) => Buffer.alloc(64 * 1024, i));
  const fed = feed(body, parts, () => Promise.resolve());
  await Promise.all([fed, fast.drain()]);
  expect(fast.bytes.length).toBe(200 * 64 * 1024);
  expect(room.usedBytes).toBeGreaterThan(11 * MIB);
  await slow.drain();
  expect(slow.bytes.equals(Buffer.concat(parts))).toBe(true);
  expect(room.usedBytes).toBe(0);
  expect(await readdir(dir)).toEqual([]);
});

test('one on disk that overtakes one in memory leaves it the bytes it may need there', async () => {
  const room = new SpillRoom(dir, 1000, 30);
  const body = new FillingBody(false, () => undefined, room, 25);
  const parts = ['a', 'b', 'c', 'd'].map((letter) => Buffer.alloc(10, letter));
  const [fast, middle, slow] = [body.read(), body.read(), body.read()];
  for (const part of parts.slice(0, 3)) body.append(part);
  await middle.next();
  for (let i = 0; i < 3; i++) await fast.next();
  // The slow one is a window behind, the middle one is not: only the former goes to disk.
  void body.room();
  expect(room.usedBytes).toBe(30);
  body.append(parts[3] ?? Buffer.alloc(0));
  // All that one file holds, and so past the middle one, which goes to disk only now.
  expect((await slow.next()).value?.toString()).toBe(
    'a'.repeat(10) + 'b'.repeat(10) + 'c'.repeat(10),
  );
  await fast.next();
  void body.room();
  body.complete();
  const rest: Buffer[] = [];
  for await (const piece of middle) rest.push(piece);
  expect(Buffer.concat(rest).toString()).toBe(Buffer.concat(parts).subarray(10).toString());
  await Promise.all([fast.return?.(), slow.return?.()]);
  expect(room.usedBytes).toBe(0);
});

test('beyond the room on disk the slowest is cut', async () => {
  const room = new SpillRoom(dir, 4 * MIB);
  const body = new FillingBody(false, () => undefined, room);
  const [fast, slow] = [new SteppedReader(body), new SteppedReader(body)];
  const parts = Array.from({ length: 200 }, () => Buffer.alloc(64 * 1024, 'x'));
  await Promise.all([feed(body, parts, () => Promise.resolve()), fast.drain()]);
  await slow.drain();
  expect(fast.error).toBeUndefined();
  expect(slow.error).toMatchObject({ code: 'insufficient-storage' });
  expect(room.usedBytes).toBe(0);
});

test('a slow reader that leaves gives its room back', async () => {
  const room = new SpillRoom(dir, 100 * MIB);
  const body = new FillingBody(false, () => undefined, room);
  const [fast, slow] = [new SteppedReader(body), new SteppedReader(body)];
  const parts = Array.from({ length: 100 }, () => Buffer.alloc(64 * 1024, 'x'));
  await Promise.all([feed(body, parts, () => Promise.resolve()), fast.drain()]);
  expect(room.usedBytes).toBeGreaterThan(0);
  slow.leave();
  expect(room.usedBytes).toBe(0);
});

test('a disk that fails cuts only who reads from it', async () => {
  const room = new SpillRoom(join(dir, 'x'.repeat(300)), 100 * MIB);
  const body = new FillingBody(false, () => undefined, room);
  const [fast, slow] = [new SteppedReader(body), new SteppedReader(body)];
  const parts = Array.from({ length: 100 }, () => Buffer.alloc(64 * 1024, 'x'));
  await Promise.all([feed(body, parts, () => Promise.resolve()), fast.drain()]);
  await slow.drain();
  expect(fast.error).toBeUndefined();
  expect(fast.bytes.length).toBe(100 * 64 * 1024);
  expect(slow.error).toMatchObject({ code: 'ENAMETOOLONG' });
});
