import type { Clock } from '#core/clock.ts';
import { CanopyError, messageOf } from '#core/errors.ts';
import { formatDate } from '#core/http/dates.ts';
import { type ClientRequest, readRequest } from '#core/http/request.ts';
import type { TrustedProxies } from '#core/serving/client-address.ts';
import { FOR_ANY_PAGE } from '#core/serving/echo.ts';
import type { Exchange } from '#core/serving/exchange.ts';
import { problemOf } from '#core/serving/problem.ts';
import { parseAddress, type Prefix } from '../engine/prefix.ts';
import type { Beacons } from '../latency/beacons.ts';
import type { LatencyReporter } from '../latency/reporter.ts';
import type { RouterView } from '../view/view.ts';
import { takeBeacon } from './beacon.ts';
import { destinationsOf, nobody, siteOf } from './destinations.ts';
import { list } from './list.ts';
import { type Asked, type Reply, uncached } from './reply.ts';
import { script } from './scripts.ts';
import { steer } from './steering.ts';

export interface HttpRouterOptions {
  readonly view: RouterView;
  readonly beacons: Beacons;
  readonly reporter: Pick<LatencyReporter, 'add'>;
  readonly trustedProxies: TrustedProxies;
  readonly clock: Clock;
  readonly onError: (message: string) => void;
}

/** What a router answers itself; everything else is redirected. */
const ENDPOINTS: Readonly<Record<string, (asked: Asked) => Reply | Promise<Reply>>> = {
  '/.canopy/route': list,
  '/.canopy/steering': steer,
  '/.canopy/beacon': takeBeacon,
  '/.canopy/client.js': script('client'),
  '/.canopy/beacon.js': script('beacon'),
};
/** On hosts that are no site's. */
const SHORT_LIST_PATH = '/route';

/** Answers one request to the HTTP router. @returns the status */
export async function routeRequest(
  options: HttpRouterOptions,
  exchange: Exchange,
): Promise<number> {
  const { status, fields, body } = await replyTo(options, exchange);
  const isHead = exchange.received.method === 'HEAD';
  const dated = ['Date', formatDate(options.clock.now()), ...fields];
  await exchange.respond(status, dated, isHead ? [] : [body]);
  return status;
}

async function replyTo(options: HttpRouterOptions, exchange: Exchange): Promise<Reply> {
  const { received, peerAddress, content } = exchange;
  let always: readonly string[] = [];
  try {
    const request = readRequest(received);
    const client = options.trustedProxies.client(peerAddress, received.fields);
    const address = parseAddress(client.address.replace(/%.*/, ''));
    if (address === undefined) throw new CanopyError('internal-error', 'The client has no address');
    const [path = ''] = request.target.split('?', 1);
    const query = new URLSearchParams(request.target.slice(path.length));
    const isShort = path === SHORT_LIST_PATH && !options.view.isClaimed(request.host);
    const endpoint = isShort ? list : ENDPOINTS[path];
    if (endpoint === undefined) return redirect(options.view, request, address);
    always = FOR_ANY_PAGE;
    const reply = await endpoint({ ...options, request, query, address, content });
    return { ...reply, fields: [...reply.fields, ...always] };
  } catch (error) {
    const known = error instanceof CanopyError ? error : undefined;
    if (known === undefined) options.onError(messageOf(error));
    const problem = problemOf(
      known ?? new CanopyError('internal-error', 'Routing failed', { cause: error }),
    );
    return { ...problem, fields: [...problem.fields, ...always] };
  }
}

function redirect(view: RouterView, { host, target }: ClientRequest, address: Prefix): Reply {
  const site = siteOf(view, host);
  const [first] = destinationsOf(view, site, address, target).ranked;
  if (first === undefined) throw nobody(site);
  const location = `${first.url}${target}`;
  return {
    status: site.routing.redirectStatus,
    fields: ['Location', location, 'Content-Length', '0', ...uncached],
    body: Buffer.alloc(0),
  };
}
