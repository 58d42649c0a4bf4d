import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { memoryLedger } from '#core/cache/memory-share.ts';

const BUDGET_BYTES = 32 * 1024 * 1024;
const THREADS = 4;
const ledger = memoryLedger(BUDGET_BYTES, THREADS);
const workers: Worker[] = [];

const start = (slot: number): Worker =>
  new Worker(new URL('./memory-thread.ts', import.meta.url), { workerData: { ledger, slot } });

beforeAll(() => {
  for (let slot = 0; slot < THREADS; slot++) workers.push(start(slot));
});
afterAll(() => Promise.all(workers.map((worker) => worker.terminate())));

/** Has all threads store at once. @returns what each then has, bytes */
function round(puts: readonly number[]): Promise<readonly number[]> {
  return Promise.all(
    workers.map(async (worker, slot) => {
      worker.postMessage(puts[slot]);
      const [bytes] = (await once(worker, 'message')) as [number];
      return bytes;
    }),
  );
}

const sum = (numbers: Iterable<number>): number => [...numbers].reduce((a, b) => a + b, 0);

test('threads that store at once have one budget, and whoever needs more gets it', async () => {
  const given = sum(ledger.units);
  let held: readonly number[] = [];
  for (let i = 0; i < 30; i++) {
    held = await round([1500, 500, 150, 0]);
    expect(sum(held)).toBeLessThanOrEqual(BUDGET_BYTES);
    expect(sum(ledger.units)).toBe(given);
  }
  expect(sum(held)).toBeGreaterThan(0.9 * BUDGET_BYTES);
  expect(held[0]).toBeGreaterThan(BUDGET_BYTES / THREADS);

  // The first is idle from now on, and the last is not.
  for (let i = 0; i < 30; i++) {
    held = await round([0, 0, 150, 1500]);
    expect(sum(held)).toBeLessThanOrEqual(BUDGET_BYTES);
    expect(sum(ledger.units)).toBe(given);
  }
  expect(held[3]).toBeGreaterThan(BUDGET_BYTES / THREADS);

  // One that is replaced begins with nothing, and the others may have what it had.
  await workers[3]?.terminate();
  workers[3] = start(3);
  held = await round([0, 3000, 0, 0]);
  expect(sum(held)).toBeLessThanOrEqual(BUDGET_BYTES);
  expect(sum(ledger.units)).toBe(given);
});
