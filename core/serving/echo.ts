import { CanopyError, MethodNotAllowed } from '#core/errors.ts';
import { measured, openToken } from '#core/latency/measuring.ts';
import { sealKeysOf } from '#core/latency/seal.ts';
import type { Exchange, Sent } from './exchange.ts';
import { problemOf } from './problem.ts';
import type { TierNode } from './tier-node.ts';

const ECHO_PATH = '/.canopy/echo';

/** Pages of any site measure, by whatever name they know the edge. */
export const FOR_ANY_PAGE = ['Access-Control-Allow-Origin', '*', 'Timing-Allow-Origin', '*'];

/** Answers a client that measures how far it is from this edge; `undefined`: it is another request. */
export function answerEcho(edge: TierNode, exchange: Exchange): Promise<Sent> | undefined {
  const { target } = exchange.received;
  if (!target.startsWith(ECHO_PATH)) return undefined;
  const query = target.slice(ECHO_PATH.length);
  if (query !== '' && !query.startsWith('?')) return undefined;
  const { status, fields, body } = replyTo(edge, exchange, new URLSearchParams(query));
  return exchange.respond(status, [...fields, ...FOR_ANY_PAGE], [body]);
}

function replyTo(edge: TierNode, { received, peerAddress }: Exchange, query: URLSearchParams) {
  const { clock, name, trustedProxies } = edge;
  try {
    if (received.method !== 'GET') throw new MethodNotAllowed(received.method, 'GET');
    const { address } = trustedProxies.client(peerAddress, received.fields);
    const keys = sealKeysOf(edge.config.network);
    const token = openToken(keys, query.get('token') ?? '', address, clock.now());
    const echo = query.get('echo') ?? undefined;
    const answer = measured(keys, name, token, echo, clock.monotonicMs());
    const body = Buffer.from(`${JSON.stringify(answer)}\n`);
    const type = ['Content-Type', 'application/json', 'Cache-Control', 'no-store'];
    return { status: 200, fields: [...type, 'Content-Length', String(body.length)], body };
  } catch (error) {
    if (error instanceof CanopyError) return problemOf(error);
    throw error;
  }
}
