import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import type { ThreadPlace, ToThread } from '#core/serving/thread-messages.ts';
import '#edge/worker.ts';

// A serving thread of an edge that fails when it is told that a node is gone, and once in its place
// when it is told of a purge.

const { slot, spill } = workerData as ThreadPlace;
const died = join(spill.dir, `died-${slot}`);

parentPort?.on('message', (message: ToThread) => {
  if (message.type === 'event' && message.event.type === 'node.delete') {
    throw new Error('The thread fails, as the test wants it');
  }
  if (message.type === 'event' && message.event.type === 'purge' && !existsSync(died)) {
    writeFileSync(died, '');
    throw new Error('The thread fails in the midst of a purge');
  }
});
