import type { Clock } from '#core/clock.ts';
import { zonesOf } from '#core/contract/routed-hosts.ts';
import type { Site } from '#core/contract/site.ts';
import { CanopyError, messageOf, MethodNotAllowed } from '#core/errors.ts';
import { formatDate } from '#core/http/dates.ts';
import type { Fields } from '#core/http/fields.ts';
import { type ClientRequest, readRequest } from '#core/http/request.ts';
import type { TrustedProxies } from '#core/serving/client-address.ts';
import type { Exchange } from '#core/serving/exchange.ts';
import { problemOf } from '#core/serving/problem.ts';
import { type Prefix, parseAddress } from '../engine/prefix.ts';
import type { Near } from '../engine/nearness.ts';
import type { RouterView } from '../view/view.ts';
import { baseUrlOf } from './destinations.ts';

export interface HttpRouterOptions {
  readonly view: RouterView;
  readonly trustedProxies: TrustedProxies;
  readonly clock: Clock;
  readonly onError: (message: string) => void;
}

interface Reply {
  readonly status: number;
  readonly fields: Fields;
  readonly body: Buffer;
}

/** Where clients ask for a list; the shorter one on hosts that are no site's. */
const LIST_PATH = '/.canopy/route';
const SHORT_LIST_PATH = '/route';

/** Edges that a list names. */
const LIST_LENGTH = 5;

/** Answers one request to the HTTP router. @returns the status */
export async function routeRequest(
  options: HttpRouterOptions,
  exchange: Exchange,
): Promise<number> {
  const { status, fields, body } = replyTo(options, exchange);
  const isHead = exchange.received.method === 'HEAD';
  const dated = ['Date', formatDate(options.clock.now()), ...fields];
  await exchange.respond(status, dated, isHead ? [] : [body]);
  return status;
}

function replyTo(options: HttpRouterOptions, { received, peerAddress }: Exchange): Reply {
  try {
    const request = readRequest(received);
    const client = options.trustedProxies.client(peerAddress, received.fields);
    const address = parseAddress(client.address.replace(/%.*/, ''));
    if (address === undefined) throw new CanopyError('internal-error', 'The client has no address');
    const url = listedUrl(options.view, request);
    return url === undefined
      ? redirect(options.view, request, address)
      : list(options.view, url, request, address);
  } catch (error) {
    const known = error instanceof CanopyError ? error : undefined;
    if (known === undefined) options.onError(messageOf(error));
    return problemOf(
      known ?? new CanopyError('internal-error', 'Routing failed', { cause: error }),
    );
  }
}

/** The URL that a list is asked for; `undefined`: it is no such request. */
function listedUrl(view: RouterView, { host, target }: ClientRequest): string | undefined {
  const { pathname, searchParams } = new URL(target, 'http://router.invalid');
  const isAsked = pathname === LIST_PATH || (pathname === SHORT_LIST_PATH && !view.isClaimed(host));
  if (!isAsked) return undefined;
  const url = searchParams.get('url');
  if (url === null) throw new CanopyError('invalid-request', 'Say which URL: ?url=https://…');
  return url;
}

function redirect(view: RouterView, { host, target }: ClientRequest, address: Prefix): Reply {
  const site = siteOf(view, host);
  const [first] = ranked(view, site, address, target);
  if (first === undefined) throw nobody(site);
  const location = `${first.url}${target}`;
  return {
    status: site.routing.redirectStatus,
    fields: ['Location', location, 'Content-Length', '0', ...uncached],
    body: Buffer.alloc(0),
  };
}

/** The edges for a URL, the best first, for clients that choose and fail over by themselves. */
function list(view: RouterView, text: string, { method }: ClientRequest, address: Prefix): Reply {
  if (method !== 'GET' && method !== 'HEAD') throw new MethodNotAllowed(method, 'GET, HEAD');
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new CanopyError('invalid-request', `Expected an http or https URL, received ${text}`);
  }
  const site = siteOf(view, url.hostname);
  const target = url.pathname + url.search;
  const edges = ranked(view, site, address, target).slice(0, LIST_LENGTH);
  if (edges.length === 0) throw nobody(site);
  const ttlSeconds = view.ttlSeconds(site);
  const content = {
    site: site.name,
    ttlSeconds,
    edges: edges.map((edge) => ({ ...edge, url: `${edge.url}${target}` })),
  };
  const body = Buffer.from(`${JSON.stringify(content)}\n`);
  const fields = [
    'Content-Type',
    'application/json',
    'Content-Length',
    String(body.length),
    // Pages of the site ask from its own origin.
    'Access-Control-Allow-Origin',
    '*',
    ...uncached,
  ];
  return { status: 200, fields, body };
}

/** Another client may get another answer. */
const uncached = ['Cache-Control', 'no-store'];

interface Destination {
  readonly name: string;
  readonly url: string;
  readonly location: string;
  /** Expected, ms; `null`: nothing is known. */
  readonly roundTripMs: number | null;
}

function ranked(view: RouterView, site: Site, address: Prefix, target: string): Destination[] {
  const { config, routes, source } = view;
  if (config === undefined || source === undefined) throw nobody(site);
  const path = target.split('?', 1)[0] ?? '';
  const decision = routes.decide(site, routes.locate(address), undefined, path);
  return decision.ranked.flatMap(({ name, roundTripMs }: Near) => {
    const node = source.nodes.get(name);
    if (node === undefined) return [];
    return [
      {
        name,
        url: baseUrlOf(node, site, zonesOf(config)),
        location: node.location.name,
        roundTripMs: roundTripMs === undefined ? null : Math.round(roundTripMs * 10) / 10,
      },
    ];
  });
}

function siteOf({ sites }: RouterView, host: string): Site {
  const site = sites.byHost(host);
  if (site === undefined) throw new CanopyError('unknown-host', `No site has the host ${host}`);
  return site;
}

const nobody = ({ name }: Site): CanopyError =>
  new CanopyError('unavailable', `No edge may be named for site "${name}"`);
