import { parentPort, workerData } from 'node:worker_threads';
import type { Changed } from '#core/cache/engine.ts';
import { systemClock } from '#core/clock.ts';
import { CanopyError, messageOf } from '#core/errors.ts';
import { applyEvent } from '#core/node/config.ts';
import { NodeLease } from '#core/node/lease.ts';
import type { Exchange } from './exchange.ts';
import { listen, type Listener } from './listener.ts';
import type { FromThread, ThreadPlace, ToThread } from './thread-messages.ts';
import { TierNode } from './tier-node.ts';

const LOAD_INTERVAL_MS = 1000;

/** Runs in a worker thread: serves with a cache of its own, as the main thread tells it. */
export function runThread(handle: (node: TierNode, exchange: Exchange) => Promise<void>): void {
  const port = parentPort;
  if (port === null) throw new Error('A serving thread is started as a worker only');
  const { slot, lease: memory, ...place } = workerData as ThreadPlace;
  const clock = systemClock;
  const send = (message: FromThread): void => port.postMessage(message);
  const lease = new NodeLease(clock, memory);
  const telling = new Map<number, () => void>();
  let nextTelling = 0;
  const tellThreads = (changed: Changed): Promise<void> =>
    new Promise((resolve) => {
      const id = nextTelling++;
      telling.set(id, resolve);
      send({ type: 'changed', id, changed });
    });
  const node = new TierNode({ ...place, clock, lease, tellThreads });
  node.siblings.sit(slot);
  let listener: Listener | undefined;

  const startListening = async (message: ToThread & { type: 'listen' }): Promise<void> => {
    const { host, port: wanted, reusePort } = message;
    try {
      listener = await listen({
        host,
        port: wanted,
        reusePort,
        handle: (exchange) => handle(node, exchange),
        onError: (error) => send({ type: 'error', message: messageOf(error) }),
      });
      send({ type: 'listening', url: listener.url, port: listener.port });
    } catch (error) {
      const code = error instanceof CanopyError ? error.code : 'internal-error';
      send({ type: 'not-listening', code, message: messageOf(error) });
    }
  };

  const stop = async (graceMs: number): Promise<void> => {
    await listener?.close(graceMs);
    await node.close();
    port.close();
  };

  port.on('message', (message: ToThread) => {
    switch (message.type) {
      case 'config': {
        const { id, config, reset } = message;
        send({ type: 'applied', id, report: node.apply(config, undefined, reset) });
        break;
      }
      case 'event': {
        const { id, event } = message;
        const report = node.apply(applyEvent(node.config, event), event, false);
        send({ type: 'applied', id, report });
        break;
      }
      case 'changed': {
        const { host, targets } = message.changed;
        const site = node.sites.byName(message.changed.site);
        for (const target of targets) if (site) node.engine.invalidate(site, host, target);
        send({ type: 'applied', id: message.id, report: undefined });
        break;
      }
      case 'told':
        telling.get(message.id)?.();
        telling.delete(message.id);
        break;
      case 'sibling':
        node.siblings.meet(message.slot, message.port);
        break;
      case 'listen':
        void startListening(message);
        break;
      case 'close':
        void stop(message.graceMs);
        break;
    }
  });
  setInterval(() => send({ type: 'load', load: node.load() }), LOAD_INTERVAL_MS).unref();
}
