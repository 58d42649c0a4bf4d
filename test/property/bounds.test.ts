import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BulkheadFull, Bulkheads } from '#core/tree/bulkheads.ts';
import { HotKeys } from '#core/tree/hot-keys.ts';
import { Latency } from '#core/tree/latency.ts';
import { Replay } from '#core/tree/replay.ts';
import { RetryBudget } from '#core/tree/retry-budget.ts';
import { FakeClock } from '#test/scenario/kit/clock.ts';

describe('the retry budget', () => {
  test('grants what the last ten seconds allow, and no more', () => {
    const step = fc.record({ afterMs: fc.nat(3000), requests: fc.nat(30), wishes: fc.nat(30) });
    const limits = fc.record({
      retryFraction: fc.double({ min: 0, max: 1, noNaN: true }),
      retriesPerSecond: fc.double({ min: 0, max: 3, noNaN: true }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), limits, (steps, given) => {
        const budget = new RetryBudget();
        const history: { second: number; requests: number; retries: number }[] = [];
        let now = 0;
        for (const { afterMs, requests, wishes } of steps) {
          now += afterMs;
          for (let i = 0; i < requests; i++) budget.request(now);
          let retries = 0;
          for (let i = 0; i < wishes; i++) if (budget.take(given, now)) retries++;
          history.push({ second: Math.floor(now / 1000), requests, retries });
          const window = history.filter(({ second }) => second > Math.floor(now / 1000) - 10);
          const sum = (of: 'requests' | 'retries'): number => window.reduce((s, w) => s + w[of], 0);
          const allowed = sum('requests') * given.retryFraction + given.retriesPerSecond * 10;
          // What is granted holds when it is granted, whatever requests leave the window later.
          expect(retries === 0 || sum('retries') <= allowed).toBe(true);
          // It gives what it may: one more is refused only where one more would be too many.
          expect(retries === wishes || sum('retries') + 1 > allowed).toBe(true);
        }
      }),
    );
  });
});

describe('latency', () => {
  test('a quantile is never too low, and too high by at most a bucket', () => {
    const samples = fc.array(fc.double({ min: 1, max: 1e6, noNaN: true }), {
      minLength: 1,
      maxLength: 400,
    });
    fc.assert(
      fc.property(samples, fc.double({ min: 0.05, max: 0.99, noNaN: true }), (given, fraction) => {
        const latency = new Latency();
        for (const ms of given) latency.add(ms);
        const sorted = given.toSorted((a, b) => a - b);
        const exact = sorted[Math.max(0, Math.ceil(given.length * fraction - 1e-9) - 1)] ?? 0;
        const told = latency.quantileMs(fraction);
        expect(told).toBeGreaterThanOrEqual(exact);
        expect(told).toBeLessThanOrEqual(exact * 2 ** 0.25 * (1 + 1e-9));
      }),
    );
  });

  test('what was long ago fades', () => {
    const latency = new Latency();
    for (let i = 0; i < 2000; i++) latency.add(5000);
    for (let i = 0; i < 10_000; i++) latency.add(10);
    expect(latency.quantileMs(0.95)).toBeLessThan(13);
  });
});

function bulkheadsOf(): { clock: FakeClock; bulkheads: Bulkheads } {
  const clock = new FakeClock();
  return { clock, bulkheads: new Bulkheads(clock) };
}

describe('bulkheads', () => {
  const limits = { maxConnections: 2, maxQueue: 1, waitMs: 500 };
  test('beyond the connections one waits, beyond the line one is refused', async () => {
    const { bulkheads } = bulkheadsOf();
    const enter = () => bulkheads.enter('p', 's', limits, undefined);
    const [leave] = [await enter(), await enter()];
    const waiting = enter();
    await expect(enter()).rejects.toThrow(BulkheadFull);
    expect(bulkheads.underWay('p')).toBe(2);
    leave?.();
    leave?.();
    (await waiting)();
    expect(bulkheads.underWay('p')).toBe(1);
  });

  test('another site is not held up', async () => {
    const { bulkheads } = bulkheadsOf();
    await bulkheads.enter('p', 's', limits, undefined);
    await bulkheads.enter('p', 's', limits, undefined);
    await bulkheads.enter('p', 'other', limits, undefined);
    expect(bulkheads.underWay('p')).toBe(3);
  });

  test('who waits too long, or leaves, gives up the place in line', async () => {
    const { bulkheads, clock } = bulkheadsOf();
    const enter = (signal?: AbortSignal) => bulkheads.enter('p', 's', limits, signal);
    const leaves = [await enter(), await enter()];
    const late = enter();
    clock.advance('500ms');
    await expect(late).rejects.toThrow(BulkheadFull);
    const abort = new AbortController();
    const gone = enter(abort.signal);
    abort.abort(new Error('gone'));
    await expect(gone).rejects.toThrow('gone');
    for (const leave of leaves) leave();
    expect(bulkheads.underWay('p')).toBe(0);
  });
});

async function* source(chunks: readonly Buffer[]): AsyncGenerator<Buffer, void, undefined> {
  yield* chunks;
}
async function read(replay: Replay, atMost = Infinity): Promise<Buffer> {
  const got: Buffer[] = [];
  if (atMost === 0) return Buffer.alloc(0);
  for await (const chunk of replay.read()) {
    got.push(chunk);
    if (got.length >= atMost) break;
  }
  return Buffer.concat(got);
}

describe('content that may be sent again', () => {
  test('is the same every time, as far as it is kept', async () => {
    const chunks = fc.array(
      fc.uint8Array({ minLength: 1, maxLength: 20_000 }).map((b) => Buffer.from(b)),
      { maxLength: 12 },
    );
    await fc.assert(
      fc.asyncProperty(chunks, fc.array(fc.nat(12), { maxLength: 4 }), async (given, partial) => {
        const replay = new Replay(source(given));
        for (const count of partial) if (replay.isWhole) await read(replay, count);
        const content = Buffer.concat(given);
        const isRight = replay.isWhole
          ? (await read(replay)).equals(content)
          : content.length > 64 * 1024;
        expect(isRight).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  test('its source is let go once no other parent comes', async () => {
    let isOpen = true;
    async function* watched(): AsyncGenerator<Buffer, void, undefined> {
      try {
        yield Buffer.from('a');
        yield Buffer.from('b');
      } finally {
        isOpen = false;
      }
    }
    const replay = new Replay(watched());
    await read(replay, 1);
    expect(isOpen).toBe(true);
    replay.last();
    await Promise.resolve();
    expect(isOpen).toBe(false);
  });
});

test('an object is hot from a hundred requests in a second on, and for the second after', () => {
  const keys = new HotKeys();
  const hot = (now: number): boolean => keys.note('key', now);
  const first = Array.from({ length: 101 }, () => hot(500));
  expect(first.indexOf(true)).toBe(100);
  expect(hot(1500)).toBe(true);
  expect(hot(2500)).toBe(false);
  expect(hot(9500)).toBe(false);
});
