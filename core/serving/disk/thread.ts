import { parentPort, workerData } from 'node:worker_threads';
import { Keeper } from '#core/cache/disk/keeper.ts';
import { systemClock } from '#core/clock.ts';
import { CanopyError, messageOf } from '#core/errors.ts';
import { Samples } from '#core/telemetry/samples.ts';
import type { DiskThreadData, FromDiskThread, ToDiskThread } from './messages.ts';

/** Run as a worker thread: keeps the disk store of the node, and serves nobody. */
const port = parentPort;
if (port === null) throw new Error('The thread of the disk store is started as a worker only');
const send = (message: FromDiskThread): void => port.postMessage(message);

try {
  const keeper = await Keeper.open({
    ...(workerData as DiskThreadData),
    clock: systemClock,
    log: { warn: (message) => send({ type: 'warning', message }) },
    onHealth: (health) => send({ type: 'health', health }),
  });
  const measure = (id: number): void => {
    const samples = new Samples();
    keeper.sample(samples);
    send({ type: 'measured', id, samples: samples.byMetric });
  };
  port.on('message', (message: ToDiskThread) => {
    if (message.type === 'accept') keeper.accept(message.port);
    else if (message.type === 'measure') measure(message.id);
    else void keeper.close().then(() => port.close());
  });
  send({ type: 'health', health: keeper.health });
  send({ type: 'opened', place: keeper.place(0), fence: keeper.fence });
} catch (error) {
  const isConflict = error instanceof CanopyError && error.code === 'conflict';
  send({ type: 'not-opened', isConflict, message: messageOf(error) });
}
