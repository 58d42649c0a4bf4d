import { parentPort, workerData } from 'node:worker_threads';
import { SharedTable, type TableMemory } from '#core/limits/shared-table.ts';
import { type Quota, SlidingWindows } from '#core/limits/sliding-windows.ts';
import { UnderWay } from '#core/limits/under-way.ts';

/** What a thread is asked: so many attempts at one moment, or to die in the middle of something. */
export type Asked =
  | { readonly attempts: number; readonly quota: Quota; readonly nowMs: number }
  | { readonly dies: 'locking' | 'under-way' };

const memory = workerData as TableMemory;
const windows = new SlidingWindows(memory);

parentPort?.on('message', (asked: Asked) => {
  if ('dies' in asked) {
    if (asked.dies === 'locking') new SharedTable(memory).open('key', 0);
    else new UnderWay(memory, 1).begin('key', 1, 0);
    process.exit();
  }
  let admitted = 0;
  for (let i = 0; i < asked.attempts; i++) {
    if (windows.take('key', asked.quota, asked.nowMs).isAdmitted) admitted++;
  }
  parentPort?.postMessage(admitted);
});
