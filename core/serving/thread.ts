import { setImmediate } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import type { Changed } from '#core/cache/engine.ts';
import { MemoryShare } from '#core/cache/memory-share.ts';
import { DiskStore } from '#core/cache/disk/disk-store.ts';
import { systemClock } from '#core/clock.ts';
import type { ExplainAsked, Explained } from '#core/contract/explain.ts';
import type { Question, Said } from '#core/contract/question.ts';
import { CanopyError, messageOf } from '#core/errors.ts';
import { NodeGeography } from '#core/geography/node-geography.ts';
import { applyEvent } from '#core/node/config.ts';
import { NodeLease } from '#core/node/lease.ts';
import { ThreadLog } from '#core/telemetry/access-log/thread-log.ts';
import { Samples } from '#core/telemetry/samples.ts';
import { ThreadMeter } from '#core/telemetry/thread-meter.ts';
import { Clients } from './clients/clients.ts';
import type { Serving } from './exchange.ts';
import { listen, type Listener } from './listener.ts';
import { sampleActivity, sampleNode } from './node-samples.ts';
import { Placements } from './placements.ts';
import { recordUnreadable } from './record.ts';
import { type Activity, sumOf } from './service.ts';
import type { FromThread, ThreadPlace, ToThread } from './thread-messages.ts';
import { TierNode } from './tier-node.ts';
import { ThreadTls } from './tls/thread-tls.ts';
import type { OnUnreadable } from './unreadable.ts';

const LOAD_INTERVAL_MS = 1000;
const MEASURE_INTERVAL_MS = 10_000;
/** No request is kept from the access log for longer. */
const LOG_INTERVAL_MS = 200;
/** Of the event loop, in which a request whose connection has gone comes to its end. */
const MOST_TURNS = 100;

/**
 * Runs in a worker thread: serves with a cache of its own, as the main thread tells it.
 * @param serve makes what answers requests
 */
export function runThread(
  serve: (node: TierNode, onError: (error: unknown) => void) => Serving,
): void {
  const port = parentPort;
  if (port === null) throw new Error('A serving thread is started as a worker only');
  const {
    slot,
    lease: leaseMemory,
    memory,
    disk: connection,
    tls: tlsPlace,
    log: logContent,
    geography: databases = [],
    limits,
    rateLimitRedis: redisUrl,
    ...place
  } = workerData as ThreadPlace;
  const clock = systemClock;
  const send = (message: FromThread): void => port.postMessage(message);
  const onError = (error: unknown): void => send({ type: 'error', message: messageOf(error) });
  const lease = new NodeLease(clock, leaseMemory);
  const telling = new Map<number, () => void>();
  let nextTelling = 0;
  const tellThreads = (changed: Changed): Promise<void> =>
    new Promise((resolve) => {
      const id = nextTelling++;
      telling.set(id, resolve);
      send({ type: 'changed', id, changed });
    });
  const explaining = new Map<number, (explained: Explained | undefined) => void>();
  const explainNode = (asked: ExplainAsked): Promise<Explained | undefined> =>
    new Promise((resolve) => {
      const id = nextTelling++;
      explaining.set(id, resolve);
      send({ type: 'explain', id, asked });
    });
  const disk = connection && new DiskStore(connection.place, connection.port);
  const shared = disk === undefined ? {} : { disk, tendsDisk: slot === 0 };
  const accessLog =
    logContent &&
    new ThreadLog({
      content: logContent,
      node: place.name,
      post: (lines) =>
        port.postMessage({ type: 'log', lines } satisfies FromThread, [lines.memory]),
    });
  const geography = new NodeGeography(databases);
  const memoryShare = memory && new MemoryShare(memory, slot);
  const node = new TierNode({
    ...place,
    ...shared,
    memoryShare,
    clock,
    lease,
    countryOf: (address) => geography.countryOf(address),
    asnOf: (address) => geography.asnOf(address),
    guarding: limits && { memory: limits, slot, redisUrl },
    tellThreads,
    explainNode,
    accessLog,
  });
  node.siblings.sit(slot);
  const clients = new Clients(place.clientLimits, (address) => node.trustedProxies.has(address));
  const placements = new Placements(node, send);
  const tls = tlsPlace && new ThreadTls(tlsPlace, node, onError);
  const listeners: Listener[] = [];
  const activity = (): Activity => sumOf(listeners.map((one) => one.activity()));

  const serving = serve(node, onError);
  const { handle } = serving;
  const lane = place.hitLane === true ? serving.lane : undefined;
  const onUnreadable: OnUnreadable = (...refused) => recordUnreadable(node, ...refused);
  const startListening = async (message: ToThread & { type: 'listen' }): Promise<void> => {
    const { scheme, host, port: wanted, reusePort } = message;
    const options = {
      host,
      port: wanted,
      reusePort,
      handle,
      lane,
      onError,
      onUnreadable,
      clients,
      clock,
    };
    try {
      const listening = scheme === 'https' ? tls?.listen(options) : listen(options);
      if (listening === undefined) throw new Error('The thread has no TLS');
      const listener = await listening;
      listeners.push(listener);
      send({ type: 'listening', scheme, url: listener.url, port: listener.port });
    } catch (error) {
      const code = error instanceof CanopyError ? error.code : 'internal-error';
      send({ type: 'not-listening', scheme, code, message: messageOf(error) });
    }
  };

  const meter = new ThreadMeter(slot);
  const measure = (id: number | undefined): void => {
    const samples = new Samples();
    sampleNode(node, samples);
    serving.sample?.(samples);
    if (listeners.length > 0) sampleActivity(activity(), samples);
    tls?.handshakes.sample(samples);
    if (accessLog !== undefined) {
      samples.add('canopy_access_log_dropped_total', accessLog.dropped, 'busy');
    }
    clients.sample(samples);
    meter.sample(samples, id !== undefined);
    samples.add(
      'canopy_thread_memory_bytes',
      memoryShare?.bytes ?? place.memoryBytes,
      String(slot),
    );
    send({ type: 'measured', id, samples: samples.byMetric });
  };

  const answer = async (question: Question): Promise<Said> =>
    'explain' in question
      ? { explained: await serving.explain(question.explain) }
      : { estimate: await node.preview(question.targets) };
  const say = (id: number, question: Question): Promise<void> =>
    answer(question).then(
      (said) => send({ type: 'said', id, said }),
      (error: unknown) => {
        onError(error);
        send({ type: 'said', id, said: undefined });
      },
    );

  const stop = async (graceMs: number): Promise<void> => {
    await Promise.all(listeners.map((listener) => listener.close(graceMs)));
    tls?.close();
    await serving.close?.();
    await node.close();
    await disk?.close();
    // Of clients that were cut off, the requests end only now.
    for (let turns = 0; activity().requests > 0 && turns < MOST_TURNS; turns++)
      await setImmediate();
    accessLog?.flush();
    port.close();
  };

  const receive = (message: ToThread): void => {
    switch (message.type) {
      case 'config': {
        const { id, config, reset } = message;
        const report = node.apply(config, undefined, reset);
        tls?.heed(undefined);
        send({ type: 'applied', id, report });
        break;
      }
      case 'event': {
        const { id, event, reset } = message;
        const report = node.apply(applyEvent(node.config, event), event, reset);
        tls?.heed(event);
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
      case 'explained':
        explaining.get(message.id)?.(message.explained);
        explaining.delete(message.id);
        break;
      case 'sibling':
        node.siblings.meet(message.slot, message.port);
        break;
      case 'listen':
        void startListening(message);
        break;
      case 'checked':
        node.checked(new Set(message.down));
        break;
      case 'geography':
        geography.renew(message.database);
        break;
      case 'question':
        void say(message.id, message.question);
        break;
      case 'measure':
        measure(message.id);
        break;
      case 'place':
        void placements.place(message);
        break;
      case 'logged':
        accessLog?.returned(message.memory);
        break;
      case 'give-up':
        placements.giveUp(message.id);
        break;
      case 'close':
        void stop(message.graceMs);
        break;
    }
  };
  // What has been purged is known before anything else is heeded.
  const recalled = disk?.recall().then((fence) => fence && node.recall(fence));
  port.on('message', (message: ToThread) => {
    if (recalled === undefined) receive(message);
    else void recalled.then(() => receive(message));
  });
  const tellLoad = (): void =>
    send({ type: 'load', load: node.load(activity()), parents: node.parents() });
  setInterval(() => {
    tellLoad();
    node.memory.rebalance();
  }, LOAD_INTERVAL_MS).unref();
  if (accessLog !== undefined) setInterval(() => accessLog.flush(), LOG_INTERVAL_MS).unref();
  // Should it be ended without a last word.
  setInterval(() => measure(undefined), MEASURE_INTERVAL_MS).unref();
  process.once('exit', () => {
    accessLog?.flush();
    tellLoad();
    measure(undefined);
  });
}
