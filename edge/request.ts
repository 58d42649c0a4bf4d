import type { Answer } from '#core/cache/answer.ts';
import { carryOut } from '#core/cache/carry-out.ts';
import type { ServedSite } from '#core/cache/served-site.ts';
import { decidedOutcome } from '#core/telemetry/cache-status.ts';
import type { Decision } from '#core/cache/policy/decide.ts';
import { CanopyError } from '#core/errors.ts';
import { type ClientRequest, readRequest } from '#core/http/request.ts';
import { clientLookup } from '#core/serving/client-lookup.ts';
import { deliver, failureAnswer, ownAnswer } from '#core/serving/deliver.ts';
import { answerEcho } from '#core/serving/echo.ts';
import type { Exchange, Serving } from '#core/serving/exchange.ts';
import { record } from '#core/serving/record.ts';
import type { TierNode } from '#core/serving/tier-node.ts';
import { isLoop, withClient } from '#core/tree/forward.ts';
import { clientFields } from './client-fields.ts';
import { EdgeFunctions } from './functions/functions.ts';
import { HitLane } from './lane/lane.ts';
import { RuledRequest } from './ruled.ts';
import { challengeAnswer, redirectToTls, requireClientCertificate } from './tls.ts';

/** What answers the requests of clients in one thread of an edge. */
export function serveClients(node: TierNode, onError: (error: unknown) => void): Serving {
  const functions = new EdgeFunctions(node, onError);
  return {
    handle: (exchange) => handleRequest(node, functions, exchange),
    lane: new HitLane(node),
    sample: (samples) => functions.sample(samples),
    close: () => functions.close(),
  };
}

/** A client's request, from its arrival to its record. */
async function handleRequest(
  edge: TierNode,
  functions: EdgeFunctions,
  exchange: Exchange,
): Promise<void> {
  const arrivedAtMs = edge.clock.monotonicMs();
  const echo = answerEcho(edge, exchange);
  if (echo !== undefined) return void (await echo);
  let site: ServedSite | undefined;
  let decision: Decision | undefined;
  let answer: Answer;
  try {
    const client = edge.trustedProxies.client(exchange.peerAddress, exchange.received.fields);
    const asked = withClient(readRequest(exchange.received), client); // accept
    site = siteOf(edge, asked);
    const received = underOwnHost(site, asked);
    const own =
      ownAnswer(received) ?? challengeAnswer(edge, received) ?? redirectToTls(edge, site, received);
    if (own !== undefined) answer = own;
    else {
      const ruled = RuledRequest.of(site, received, client.address, edge);
      guard(edge, exchange, site, received, ruled);
      const changed = ruled?.change(received, functions) ?? received;
      const request = changed instanceof Promise ? await changed : changed;
      if ('outcome' in request) answer = request;
      else {
        const country = (): string => edge.countryOf(client.address);
        const lookup = clientLookup(edge, exchange, request, site, country);
        const found = edge.engine.lookUp(lookup);
        decision = edge.engine.decide(lookup, found);
        if (site.tls.earlyHints) hint(edge, exchange, request, decision);
        // serve, refresh behind, revalidate, fill or wait; what a fill brings is stored as it ends
        const carried = carryOut({ engine: edge.engine, lookup, found, decision, exchange });
        const stored = carried instanceof Promise ? await carried : carried;
        const ours = shape(edge, site, request, stored);
        const shaped = ruled?.shape(ours, request, functions) ?? ours;
        answer = shaped instanceof Promise ? await shaped : shaped;
      }
    }
  } catch (error) {
    answer = failureAnswer(error, decidedOutcome(decision), false);
  }
  const firstByteMs = edge.clock.monotonicMs() - arrivedAtMs;
  const sent = await deliver(exchange, answer, {
    node: edge.name,
    toTier: false,
    now: edge.clock.now(),
  });
  record(edge, { exchange, site, answer, sent, arrivedAtMs, firstByteMs });
}

function siteOf({ sites }: TierNode, { host }: ClientRequest): ServedSite {
  const site = sites.byHost(host);
  if (site === undefined) throw new CanopyError('unknown-host', `No site has the host ${host}`);
  return site;
}

/** A client that a router sent here by a name of the network's asks for the site all the same. */
function underOwnHost({ ownHost }: ServedSite, request: ClientRequest): ClientRequest {
  const host = ownHost(request.host);
  return host === request.host ? request : { ...request, host, authority: host };
}

function guard(
  { forwardedBy }: TierNode,
  exchange: Exchange,
  site: ServedSite,
  { fields }: ClientRequest,
  ruled: RuledRequest | undefined,
): void {
  requireClientCertificate(site, exchange);
  ruled?.guard();
  if (isLoop(fields, forwardedBy)) {
    throw new CanopyError('loop-detected', 'This edge has passed the request on before');
  }
}

/** While the client waits for a parent, it may fetch what this page linked to before. */
function hint(
  { earlyHints }: TierNode,
  exchange: Exchange,
  { method, host, target }: ClientRequest,
  { action }: Decision,
): void {
  if (method !== 'GET' || action === 'serve') return;
  const links = earlyHints.of(host, target);
  if (links !== undefined) exchange.inform(103, links);
}

function shape(
  { earlyHints }: TierNode,
  site: ServedSite,
  { scheme, host, target }: ClientRequest,
  answer: Answer,
): Answer {
  if (site.tls.earlyHints) earlyHints.learn(host, target, answer.status, answer.fields);
  const fields = clientFields(site, scheme, answer.fields);
  return fields === answer.fields ? answer : { ...answer, fields };
}
