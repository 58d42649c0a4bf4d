import { parentPort } from 'node:worker_threads';
import type { ToThread } from '#core/serving/thread-messages.ts';
import '#edge/worker.ts';

// A serving thread of an edge that fails when it is told that a node is gone.

parentPort?.on('message', (message: ToThread) => {
  if (message.type === 'event' && message.event.type === 'node.delete') {
    throw new Error('The thread fails, as the test wants it');
  }
});
