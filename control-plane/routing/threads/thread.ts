import { hkdfSync } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '#core/clock.ts';
import type { Config } from '#core/contract/event.ts';
import { CanopyError, messageOf } from '#core/errors.ts';
import { GeoDatabase } from '#core/geography/database.ts';
import { Samples } from '#core/telemetry/samples.ts';
import { Cookies } from '../dns/cookies.ts';
import { DnsCounters } from '../dns/counters.ts';
import { RateLimit } from '../dns/rate-limit.ts';
import { Responder } from '../dns/responder.ts';
import { type DnsAddress, DnsServer } from '../dns/server.ts';
import { Geography } from '../geography/geography.ts';
import { heed } from '../view/news.ts';
import { RouterView } from '../view/view.ts';
import type { FromThread, ThreadPlace, ToThread } from './messages.ts';

// Runs in a worker thread: answers DNS by a view of its own, as the main thread tells it.

const MEASURE_INTERVAL_MS = 1_000;
const COOKIE_SECRET_BYTES = 16;

const port = parentPort;
if (port === null) throw new Error('A thread that answers DNS is started as a worker only');
const { name, answersPerSecond, elsewhere, databases: contents } = workerData as ThreadPlace;
const send = (message: FromThread): void => port.postMessage(message);

const databases = contents.map((content, place) => GeoDatabase.of(`database ${place}`, content));
const clock = systemClock;
const view = new RouterView({ clock, geography: new Geography(databases, elsewhere) });
const counters = new DnsCounters();
let cookies: Cookies | undefined;
const responder = new Responder({
  clock,
  source: () => view.source,
  cookies: () => cookies,
  rateLimit: new RateLimit(answersPerSecond),
  counters,
  name,
  onError: (message) => send({ type: 'error', message }),
});
const servers: DnsServer[] = [];

async function listen(addresses: readonly DnsAddress[]): Promise<void> {
  try {
    for (const address of addresses) {
      servers.push(await DnsServer.open({ ...address, reusePort: true }, responder));
    }
    send({ type: 'listening', addresses: servers.map(({ address }) => address) });
  } catch (error) {
    const code = error instanceof CanopyError ? error.code : 'internal-error';
    send({ type: 'not-listening', code, message: messageOf(error) });
  }
}

function measure(): void {
  const samples = new Samples();
  counters.sample(samples);
  const connections = servers.reduce((sum, server) => sum + server.connections, 0);
  samples.add('canopy_dns_tcp_connections', connections);
  send({ type: 'measured', total: counters.total, samples: samples.byMetric });
}

/** The same on all routers of a network, so that a client may turn to any with its cookie. */
function cookieSecret({ network }: Config): Buffer {
  return Buffer.from(hkdfSync('sha256', network.tierKey, '', 'dns cookies', COOKIE_SECRET_BYTES));
}

port.on('message', (message: ToThread) => {
  switch (message.type) {
    case 'news':
      if (message.news.type === 'config') cookies = new Cookies(cookieSecret(message.news.config));
      heed(view, message.news);
      break;
    case 'database':
      databases[message.place]?.replace(message.content);
      view.moved();
      break;
    case 'listen':
      void listen(message.addresses);
      break;
    case 'measure':
      measure();
      break;
    case 'close':
      void Promise.all(servers.map((server) => server.close())).then(() => port.close());
      break;
  }
});
// Should it be ended without a last word.
setInterval(measure, MEASURE_INTERVAL_MS).unref();
process.once('exit', measure);
