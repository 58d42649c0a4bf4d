import { parentPort, threadId, workerData } from 'node:worker_threads';
import type { ToThread } from '#control-plane/routing/threads/messages.ts';

// A thread that answers DNS under a name of its own, and fails when a database has new content.

const place = workerData as { name: string };
place.name += ` ${threadId}`;
await import('#control-plane/routing/threads/thread.ts');

parentPort?.on('message', (message: ToThread) => {
  if (message.type === 'database') throw new Error('The thread fails, as the test wants it');
});
