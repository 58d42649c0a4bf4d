import { parentPort } from 'node:worker_threads';
import type { FromThread, ToThread } from '#core/serving/thread-messages.ts';
import { Samples } from '#core/telemetry/samples.ts';

// A serving thread that has always answered five requests, holds one object, and dies of any event.

const samples = new Samples();
samples.add('canopy_requests_total', 5, 'site', 'hit', '2xx');
samples.add('canopy_store_objects', 1, 'memory');
const load = {
  requests: 5,
  hits: 5,
  hitBytes: 50,
  upstreamRequests: 0,
  bytesSent: 50,
  objects: 1,
  storedBytes: 10,
  connections: 2,
  tunnels: 1,
};

const send = (answer: FromThread): void => parentPort?.postMessage(answer);

parentPort?.on('message', (message: ToThread) => {
  if (message.type === 'measure') {
    send({ type: 'load', id: message.id, load, samples: samples.byMetric });
  } else if (message.type === 'config') {
    send({ type: 'applied', id: message.id, report: undefined });
  } else if (message.type === 'event' || message.type === 'close') process.exit(0);
});
