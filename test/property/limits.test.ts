import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import * as fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { Marks, marksMemory } from '#core/limits/marks.ts';
import type { TableMemory } from '#core/limits/shared-table.ts';
import { type Quota, SlidingWindows, windowsMemory } from '#core/limits/sliding-windows.ts';
import { UnderWay, underWayMemory } from '#core/limits/under-way.ts';
import type { Asked } from './limits-thread.ts';

const thread = (memory: TableMemory): Worker => {
  const worker = new Worker(new URL('limits-thread.ts', import.meta.url), { workerData: memory });
  onTestFinished(() => void worker.terminate());
  return worker;
};

/** Most admissions in any time shorter than the window. */
function densest(times: readonly number[], windowMs: number): number {
  let most = 0;
  for (let first = 0, last = 0; last < times.length; last++) {
    while ((times[last] ?? 0) - (times[first] ?? 0) >= windowMs) first++;
    most = Math.max(most, last - first + 1);
  }
  return most;
}

const quotas = fc.record({
  requests: fc.integer({ min: 1, max: 20 }),
  windowMs: fc.integer({ min: 1, max: 60 }).map((seconds) => seconds * 1000),
});

test('never are more admitted in any window than the quota, and all are again after it', () => {
  const steps = fc.array(fc.double({ min: 0, max: 0.3, noNaN: true }), { maxLength: 200 });
  const starts = fc.double({ min: 0, max: 1e11, noNaN: true });
  fc.assert(
    fc.property(quotas, steps, starts, (quota, parts, startMs) => {
      const windows = new SlidingWindows(windowsMemory(8));
      const times: number[] = [];
      let nowMs = startMs;
      /** Whether there is more when a refusal says so. */
      let isKept = true;
      for (const part of parts) {
        nowMs += part * quota.windowMs;
        const taken = windows.take('a', quota, nowMs);
        if (!taken.isAdmitted) {
          nowMs += taken.moreAfterMs;
          isKept &&= windows.take('a', quota, nowMs).isAdmitted;
        }
        times.push(nowMs);
      }
      expect(isKept).toBe(true);
      expect(densest(times, quota.windowMs)).toBeLessThanOrEqual(quota.requests);
      nowMs += 1.1 * quota.windowMs + 1;
      for (let i = 0; i < quota.requests; i++) {
        expect(windows.take('a', quota, nowMs).isAdmitted).toBe(true);
      }
      expect(windows.take('a', quota, nowMs).isAdmitted).toBe(false);
    }),
  );
});

test('threads that take at once are admitted exactly what is left', async () => {
  const memory = windowsMemory(8);
  const threads = [thread(memory), thread(memory), thread(memory)];
  const quota: Quota = { requests: 1000, windowMs: 10_000 };
  const admitted = async (attempts: number, nowMs: number): Promise<number> => {
    const counts = await Promise.all(
      threads.map(async (worker) => {
        const answer = once(worker, 'message') as Promise<[number]>;
        worker.postMessage({ attempts, quota, nowMs } satisfies Asked);
        return (await answer)[0];
      }),
    );
    return counts.reduce((sum, count) => sum + count, 0);
  };
  expect(await admitted(100, 5_000)).toBe(300);
  expect(await admitted(20_000, 9_000)).toBe(700);
  expect(await admitted(1_000, 14_999)).toBe(0);
  expect(await admitted(1_000, 16_000)).toBe(300);
  expect(await admitted(1_000, 20_000)).toBe(700);
  expect(await admitted(1_000, 25_000)).toBe(0);
});

test('a thread that dies with a lock holds up the others for a moment only', async () => {
  const memory = windowsMemory(8);
  const dying = thread(memory);
  const ended = once(dying, 'exit');
  dying.postMessage({ dies: 'locking' } satisfies Asked);
  await ended;
  const windows = new SlidingWindows(memory);
  const quota = { requests: 1, windowMs: 1000 };
  expect(windows.take('key', quota, 1).isAdmitted).toBe(true);
  expect(windows.take('key', quota, 2).isAdmitted).toBe(false);
});

test('what a thread had under way when it died is not under way', async () => {
  const memory = underWayMemory(8, 2);
  const own = new UnderWay(memory, 0);
  const dying = thread(memory);
  const ended = once(dying, 'exit');
  dying.postMessage({ dies: 'under-way' } satisfies Asked);
  await ended;
  expect(own.begin('key', 1, 0)).toBe(false);
  // The thread that takes its place.
  const next = new UnderWay(memory, 1);
  expect(own.begin('key', 1, 0)).toBe(true);
  expect(next.begin('key', 1, 0)).toBe(false);
  own.end('key');
  expect(next.begin('key', 1, 0)).toBe(true);
});

test('however many clients come, counts take the same room, and the latest are kept', () => {
  const memory = windowsMemory(4096);
  const bytes = memory.buffer.byteLength;
  const windows = new SlidingWindows(memory);
  const quota = { requests: 1, windowMs: 1000 };
  for (let i = 0; i < 200_000; i++) windows.take(`10.${i}`, quota, i / 10);
  expect(memory.buffer.byteLength).toBe(bytes);
  const nowMs = 200_000 / 10;
  const latest = Array.from({ length: 100 }, (_, i) => `10.${199_999 - i}`);
  expect(latest.filter((key) => windows.take(key, quota, nowMs).isAdmitted)).toEqual([]);
  expect(windows.forgotten).toBeGreaterThan(0);
});

test('what nobody has room for is forgotten by whoever ends first', () => {
  const marks = new Marks(marksMemory(8));
  for (let i = 0; i < 8; i++) marks.set(`long ${i}`, 60_000, 0);
  marks.set('short', 1_000, 0);
  marks.set('new', 60_000, 0);
  expect(marks.leftMs('new', 0)).toBe(60_000);
  const left = Array.from({ length: 8 }, (_, i) => marks.leftMs(`long ${i}`, 0));
  expect(left.filter((ms) => ms > 0)).toHaveLength(7);
  expect(marks.leftMs('short', 0)).toBe(0);
  expect(marks.leftMs('new', 60_000)).toBe(0);
});
